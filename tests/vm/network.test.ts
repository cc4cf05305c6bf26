import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';

import { type Api, demultiplex, field as fieldOf } from '../api/client.ts';
import { type Daemon, request, until } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { processesOf, startVmDaemon, vm } from './vm-daemon.ts';

/**
 * MicroVMs that share a network namespace: the host's, or another container's. `network-peer.c` serves and asks on both sides: it says by
 * which address the one saw the other.
 */
const FIRST_PORT = 20_000 + (process.pid % 1000) * 12;
const FIRST_START_MS = 120_000;
const REACH_MS = 30_000;
const LOOPBACK = '127.0.0.1';
const EVERYWHERE = '0.0.0.0';

suite('the shared networks of microVMs', { timeout: 400_000 }, () => {
  const snapshot = hostSnapshot();
  let daemon: Daemon;
  let api: Api;
  let peer: string;
  let ports = FIRST_PORT;

  const addressOf = async (id: string): Promise<string> =>
    fieldOf(await api.get(`/containers/${id}/json`).is(200), 'NetworkSettings', 'IPAddress');

  before(async () => {
    ({ daemon, api } = await startVmDaemon());
    peer = path.join(daemon.directory, 'peer');
    const source = path.join(import.meta.dirname, 'network-peer.c');
    execFileSync('musl-gcc', ['-static', '-Os', '-Wall', '-Werror', '-o', peer, source]);
    // The first guest boots and is saved, which takes its time.
    const first = await api.create({ Cmd: ['true'], ...vm() });
    const start = `/containers/${first}/start`;
    const { status } = await request(daemon.socket, 'POST', start, { timeoutMs: FIRST_START_MS });
    assert.equal(status, 204);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await assertNoLeaks(snapshot, [daemon.directory]);
  });

  const options = (more: Record<string, unknown>): Record<string, unknown> => ({
    Binds: [`${peer}:/peer:ro`],
    ...more,
  });
  const microvm = (network: string, line = 'exec sleep 600'): Promise<string> =>
    api.run(line, vm(options({ NetworkMode: network })));
  const container = (network: string, line = 'exec sleep 600'): Promise<string> =>
    api.run(line, { HostConfig: options({ NetworkMode: network }) });
  const remove = (...ids: string[]): Promise<unknown> =>
    Promise.all(ids.map((id) => api.delete(`/containers/${id}?force=1&v=1`).is(204)));

  /** Starts a server in a container and waits until it listens. */
  async function serve(id: string, protocol: string, address: string, port: number): Promise<void> {
    await execute(id, `/peer serve ${protocol} ${address} ${port} >/dev/null & sleep 0`);
    await until(`${id} listens at ${port}`, async () => {
      const table = `/proc/net/${protocol}`;
      const wanted = port.toString(16).toUpperCase().padStart(4, '0');
      return (await execute(id, `cat ${table}`)).includes(`:${wanted} 00000000:0000`);
    });
  }

  async function execute(id: string, line: string): Promise<string> {
    const exec = await api
      .post(`/containers/${id}/exec`, { Cmd: ['sh', '-c', line], AttachStdout: true, AttachStderr: true })
      .is(201);
    const reply = await api.post(`/exec/${fieldOf(exec, 'Id')}/start`, {}).reply();
    const { stdout, stderr } = demultiplex(reply.body);
    return `${stdout}${stderr}`.trim();
  }

  /** What the host is answered, or why it is not. */
  async function ask(protocol: string, address: string, port: number): Promise<string> {
    try {
      const { stdout } = await promisify(execFile)(peer, ['ask', protocol, address, String(port)], {
        timeout: 20_000,
      });
      return stdout.trim();
    } catch (error) {
      return String((error as { stderr?: string }).stderr).trim();
    }
  }

  const asked = (id: string, protocol: string, address: string, port: number): Promise<string> =>
    execute(id, `/peer ask ${protocol} ${address} ${port}`);

  /** A server of the host's. */
  async function hostServer(protocol: string, address: string, port: number): Promise<Disposable> {
    const child = spawn(peer, ['serve', protocol, address, String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`Nobody serves at ${port}`)));
    ended.catch(() => {});
    await Promise.race([once(child.stdout, 'data'), ended]);
    return { [Symbol.dispose]: () => void child.kill() };
  }

  const reaches = (what: string, question: () => Promise<string>, answer: RegExp): Promise<void> => {
    let last = '';
    const holds = async (): Promise<boolean> => answer.test((last = await question()));
    return until(what, holds, REACH_MS).catch((error: unknown) => {
      throw new Error(`${what}: ${last}`, { cause: error });
    });
  };

  test('host: what listens in the guest is reached at the host’s addresses, and no more once it listens no more', async () => {
    const [tcp, udp, local] = [ports++, ports++, ports++];
    const id = await microvm('host');
    await serve(id, 'tcp', EVERYWHERE, tcp);
    await serve(id, 'udp', EVERYWHERE, udp);
    await serve(id, 'tcp', LOOPBACK, local);
    for (const address of [LOOPBACK, daemon.gateway]) {
      await reaches(
        `TCP at ${address}`,
        () => ask('tcp', address, tcp),
        new RegExp(`^hello .* by ${address}$`),
      );
      await reaches(
        `UDP at ${address}`,
        () => ask('udp', address, udp),
        new RegExp(`^hello .* by ${address}$`),
      );
    }
    await reaches(
      'what is for the host alone',
      () => ask('tcp', LOOPBACK, local),
      /^hello .* by 127\.0\.0\.1$/,
    );
    assert.match(await ask('tcp', daemon.gateway, local), /Connection refused/);
    const other = await container('bridge');
    const own = await addressOf(other);
    assert.equal(await asked(other, 'tcp', daemon.gateway, tcp), `hello ${own} by ${daemon.gateway}`);
    assert.match(await asked(other, 'tcp', daemon.gateway, local), /Connection refused/);

    await execute(id, 'killall peer');
    await reaches('nobody', () => ask('tcp', LOOPBACK, tcp), /Connection refused/);
    await until('the port is free', async () => {
      const server = await hostServer('tcp', EVERYWHERE, tcp).catch(() => undefined);
      server?.[Symbol.dispose]();
      return server !== undefined;
    });
    await remove(id, other);
  });

  test('host: neither QEMU nor hull-vm is in the network that the guest shares', async () => {
    const id = await microvm('host');
    const { qemu, hullVm } = await processesOf(api, id);
    const namespace = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/net`);
    assert.equal(new Set(['self', qemu, hullVm].map(namespace)).size, 3);
    const links = (pid: number): string[] =>
      [...readFileSync(`/proc/${pid}/net/dev`, 'utf8').matchAll(/^ *(\S+):/gm)].map(([, name = '']) => name);
    assert.deepEqual(links(qemu), ['lo']);
    assert.deepEqual(links(hullVm).toSorted(), ['lo', 'out', 'tap0']);
    await remove(id);
  });

  test('host: the guest reaches what listens there, as if it were there', async () => {
    const [tcp, udp, own, both] = [ports++, ports++, ports++, ports++];
    using _tcp = await hostServer('tcp', LOOPBACK, tcp);
    using _udp = await hostServer('udp', '127.0.0.53', udp);
    using _own = await hostServer('tcp', daemon.gateway, own);
    using _both = await hostServer('tcp', daemon.gateway, both);
    const id = await microvm('host');
    assert.equal(await asked(id, 'tcp', LOOPBACK, tcp), 'hello 127.0.0.1 by 127.0.0.1');
    assert.equal(await asked(id, 'udp', '127.0.0.53', udp), 'hello 127.0.0.1 by 127.0.0.53');
    assert.match(
      await asked(id, 'tcp', daemon.gateway, own),
      new RegExp(`^hello \\S+ by ${daemon.gateway}$`),
    );
    assert.match(await asked(id, 'tcp', LOOPBACK, ports++), /Connection refused/);
    // What listens in the guest comes first.
    await serve(id, 'tcp', LOOPBACK, both);
    assert.equal(await asked(id, 'tcp', LOOPBACK, both), 'hello 127.0.0.1 by 127.0.0.1');
    assert.match(await ask('tcp', daemon.gateway, both), new RegExp(`^hello \\S+ by ${daemon.gateway}$`));
    // To others it is the host.
    const other = await container('bridge', `/peer serve tcp ${EVERYWHERE} 80`);
    await api.spoke(other);
    const address = await addressOf(other);
    assert.equal(await asked(id, 'tcp', address, 80), `hello ${daemon.gateway} by ${address}`);
    await remove(id, other);
  });

  test('host: a port is one guest’s; the other’s is told of, and guests reach each other by 127.0.0.1', async () => {
    const [port, mine] = [ports++, ports++];
    const [first, second] = await Promise.all([microvm('host'), microvm('host')]);
    await serve(first, 'tcp', EVERYWHERE, port);
    await reaches('the first', () => ask('tcp', LOOPBACK, port), /^hello/);
    assert.match(await asked(second, 'tcp', LOOPBACK, port), /^hello \S+ by 127\.0\.0\.1$/);
    await serve(second, 'tcp', EVERYWHERE, port);
    await until('the log says so', () => new RegExp(`is another’s.*:${port}`).test(daemon.log));
    await remove(first);
    // It is looked at again when anything else listens.
    await serve(second, 'tcp', LOOPBACK, mine);
    await reaches('the second', () => ask('tcp', LOOPBACK, port), /^hello/);
    await remove(second);
  });

  test('container: both have its addresses, and each reaches what listens at the other', async () => {
    const [there, here, local] = [80, 81, 82];
    const owner = await container('bridge', `/peer serve tcp ${LOOPBACK} ${there}`);
    await api.spoke(owner);
    const address = await addressOf(owner);
    const id = await microvm(`container:${owner}`);
    assert.match(await execute(id, 'ip -4 -o addr show eth0'), new RegExp(`inet ${address}/`));
    assert.equal(await asked(id, 'tcp', LOOPBACK, there), 'hello 127.0.0.1 by 127.0.0.1');
    await serve(id, 'tcp', EVERYWHERE, here);
    await serve(id, 'udp', LOOPBACK, local);
    await reaches('the guest', () => asked(owner, 'tcp', LOOPBACK, here), /^hello \S+ by 127\.0\.0\.1$/);
    await reaches('its UDP', () => asked(owner, 'udp', LOOPBACK, local), /^hello \S+ by 127\.0\.0\.1$/);
    const other = await container('bridge', `/peer serve tcp ${EVERYWHERE} 80`);
    await api.spoke(other);
    const others = await addressOf(other);
    assert.equal(await asked(id, 'tcp', others, 80), `hello ${address} by ${others}`);
    assert.equal(await asked(other, 'tcp', address, here), `hello ${others} by ${address}`);
    // The port is taken there, as by a program of its own.
    assert.match(await execute(owner, `/peer serve tcp ${EVERYWHERE} ${here}`), /Address in use/);
    // Whoever joins it joins what it joined.
    const third = await container(`container:${id}`);
    assert.equal(await asked(third, 'tcp', LOOPBACK, there), 'hello 127.0.0.1 by 127.0.0.1');
    await remove(id);
    assert.match(await asked(owner, 'tcp', LOOPBACK, here), /Connection refused/);
    await remove(owner, other, third);
  });

  test('container: a guest that had its network to itself shares it when somebody joins', async () => {
    const [web, late, plain] = [80, 81, 82];
    const published = ports++;
    const owner = await api.run(`/peer serve tcp ${EVERYWHERE} ${web}`, {
      ExposedPorts: { [`${web}/tcp`]: {} },
      HostConfig: options({
        Runtime: 'vm',
        PortBindings: { [`${web}/tcp`]: [{ HostPort: String(published) }] },
      }),
    });
    await api.spoke(owner);
    const address = await addressOf(owner);
    const other = await container('bridge', `/peer serve tcp ${EVERYWHERE} 80`);
    await api.spoke(other);
    const others = await addressOf(other);
    // It knows its neighbours by now.
    assert.equal(await asked(owner, 'tcp', others, 80), `hello ${address} by ${others}`);
    assert.match(await ask('tcp', LOOPBACK, published), /^hello/);
    const [guest, joined] = await Promise.all([
      microvm(`container:${owner}`),
      container(`container:${owner}`),
    ]);
    for (const id of [guest, joined]) {
      assert.match(await execute(id, 'ip -4 -o addr show eth0'), new RegExp(`inet ${address}/`));
      assert.equal(await asked(id, 'tcp', LOOPBACK, web).then((said) => said.split(' by ')[1]), LOOPBACK);
      assert.equal(await asked(id, 'tcp', others, 80), `hello ${address} by ${others}`);
    }
    assert.equal(await asked(owner, 'tcp', others, 80), `hello ${address} by ${others}`);
    assert.equal(await ask('tcp', LOOPBACK, published), `hello ${daemon.gateway} by ${LOOPBACK}`);
    await serve(guest, 'tcp', LOOPBACK, late);
    await serve(joined, 'tcp', LOOPBACK, plain);
    await reaches('one guest', () => asked(owner, 'tcp', LOOPBACK, late), /^hello/);
    assert.equal(await asked(owner, 'tcp', LOOPBACK, plain), 'hello 127.0.0.1 by 127.0.0.1');
    // The engine knows it all again, and finishes what was cut off in the middle.
    await daemon.kill();
    const name = `hvm${owner.slice(0, 12)}`;
    const within = [`--net=${daemon.execRoot}/netns/${owner.slice(0, 12)}`];
    execFileSync('nsenter', [...within, 'ip', 'link', 'del', name]);
    const tables = execFileSync('nsenter', [...within, 'nft', 'list', 'tables', 'ip'], { encoding: 'utf8' });
    const table = tables.match(/hull\S*_vm_\S+/g)?.find((each) => each.endsWith(owner.slice(0, 12))) ?? '';
    execFileSync('nsenter', [...within, 'nft', 'delete', 'table', 'ip', table]);
    await daemon.start();
    await reaches('its neighbour', () => asked(owner, 'tcp', others, 80), /^hello/);
    await serve(owner, 'tcp', EVERYWHERE, 83);
    await reaches('what came later', () => asked(other, 'tcp', address, 83), /^hello/);
    await remove(owner);
    await until('it is cut off', async () => !(await asked(guest, 'tcp', others, 80)).startsWith('hello'));
    await remove(guest, joined, other);
  });

  test('container: a guest without a network has none to share', async () => {
    const owner = await microvm('none');
    const id = await api.create(vm({ NetworkMode: `container:${owner}` }));
    await api
      .post(`/containers/${id}/start`)
      .is(501, { message: /cannot be shared: it is a microVM without one/ });
    await remove(owner, id);
  });

  test('an engine that is killed finds the shared networks again, and clears away those that ended meanwhile', async () => {
    const [before, gone, late] = [ports++, ports++, ports++];
    const [id, ended] = await Promise.all([microvm('host'), microvm('host')]);
    await serve(id, 'tcp', EVERYWHERE, before);
    await serve(id, 'tcp', LOOPBACK, gone);
    await serve(ended, 'tcp', EVERYWHERE, late);
    for (const port of [before, gone, late])
      await reaches(`${port}`, () => ask('tcp', LOOPBACK, port), /^hello/);
    const { qemu } = await processesOf(api, ended);
    await daemon.kill();
    process.kill(qemu, 'SIGKILL');
    assert.match(await ask('tcp', LOOPBACK, before), /^hello/);
    await daemon.start();
    assert.match(await ask('tcp', LOOPBACK, before), /^hello/);
    await until('the other has ended', async () => {
      const state = await api.get(`/containers/${ended}/json`).is(200);
      return fieldOf(state, 'State', 'Status') === 'exited';
    });
    await reaches('nobody', () => ask('tcp', LOOPBACK, late), /Connection refused/);
    await serve(id, 'tcp', EVERYWHERE, late);
    await reaches('what came later', () => ask('tcp', LOOPBACK, late), /^hello/);
    await reaches('what was there', () => ask('tcp', daemon.gateway, before), /^hello/);
    const tables = execFileSync('nft', ['list', 'tables', 'ip'], { encoding: 'utf8' });
    assert.ok(tables.includes(`_vm_${id.slice(0, 12)}`), tables);
    assert.ok(!tables.includes(`_vm_${ended.slice(0, 12)}`), tables);
    await api.post(`/containers/${id}/restart?t=0`).is(204);
    await serve(id, 'tcp', EVERYWHERE, before);
    await reaches('it after a restart', () => ask('tcp', LOOPBACK, before), /^hello/);
    await remove(id, ended);
  });
});
