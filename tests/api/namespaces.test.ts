import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';

import { mountsUnder, until } from '../daemons.ts';
import { type Api, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Host = Record<string, unknown>;

async function stdout(api: Api, line: string, hostConfig: Host = {}, body: Host = {}): Promise<string> {
  const { code, stdout, stderr } = await api.output(line, { ...body, HostConfig: hostConfig });
  assert.equal(code, 0, stderr);
  return stdout.trimEnd();
}

/** What a process in a running container prints. */
async function execute(api: Api, id: string, line: string): Promise<string> {
  const created = await api
    .post(`/containers/${id}/exec`, {
      Cmd: ['sh', '-c', line],
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
    })
    .is(201);
  const connection = await api.raw('POST', `/exec/${field(created, 'Id')}/start`, { body: { Tty: true } });
  const text = (await connection.end()).toString();
  return text.replaceAll('\r', '').trimEnd();
}

/** The start of a container with this host configuration fails so; it may be refused already when it is made. */
async function refused(
  api: Api,
  hostConfig: Host,
  statuses: number[],
  message: RegExp,
  body: Host = {},
): Promise<void> {
  const request = { Image: 'busybox', Cmd: ['sleep', '600'], ...body, HostConfig: hostConfig };
  const made = await api.post('/containers/create', request).reply();
  const said =
    made.status === 201
      ? await api.post(`/containers/${field(JSON.parse(made.body.toString()), 'Id')}/start`).reply()
      : made;
  assert.ok(statuses.includes(said.status), `${said.status} ${said.body.toString()}`);
  assert.match(field(JSON.parse(said.body.toString()), 'message'), message);
}

const SHM_OF = "grep ' /dev/shm ' /proc/mounts";

onEveryEngine('namespaces', ({ check }) => {
  check('IPC is private by default, and says so', async (api) => {
    const id = await api.create();
    await api.get(`/containers/${id}/json`).is(200, { HostConfig: { IpcMode: 'private' } });
  });
  check('a shareable IPC is shared: /dev/shm, its size, and System V objects', async (api) => {
    const owner = await api.run(
      'echo hello > /dev/shm/note; ipcmk -M 4096 >/dev/null 2>&1; echo done; sleep 600',
      {
        HostConfig: { IpcMode: 'shareable', ShmSize: 1_048_576 },
      },
    );
    await api.spoke(owner);
    const joined = { IpcMode: `container:${owner}` };
    assert.equal(await stdout(api, 'cat /dev/shm/note', joined), 'hello');
    const mount = await stdout(api, SHM_OF, joined);
    for (const option of ['nosuid', 'nodev', 'noexec', 'size=1024k'])
      assert.ok(mount.includes(option), mount);
    assert.equal(
      await stdout(api, 'readlink /proc/self/ns/ipc', joined),
      await execute(api, owner, 'readlink /proc/self/ns/ipc'),
    );
    await stdout(api, 'echo back > /dev/shm/answer', joined);
    assert.equal(await execute(api, owner, 'cat /dev/shm/answer'), 'back');
  });
  check('a joined container names its target by id, whatever the request said', async (api) => {
    const owner = await api.run('sleep 600', { HostConfig: { IpcMode: 'shareable' } }, 'ipc-owner');
    const id = await api.create({
      HostConfig: { IpcMode: 'container:ipc-owner', PidMode: 'container:ipc-owner' },
    });
    await api.get(`/containers/${id}/json`).is(200, {
      HostConfig: { IpcMode: `container:${owner}`, PidMode: `container:${owner}` },
    });
    await api.post('/containers/ipc-owner/rename?name=ipc-renamed').is(204);
    await api.post(`/containers/${id}/start`).is(204);
  });
  check(
    'one who joined keeps the memory after the owner has ended, and the owner gets a new one',
    async (api) => {
      const owner = await api.run('echo one >> /dev/shm/log; sleep 600', {
        HostConfig: { IpcMode: 'shareable' },
      });
      const joined = await api.run('sleep 600', { HostConfig: { IpcMode: `container:${owner}` } });
      await api.post(`/containers/${owner}/restart?t=0`).is(204);
      await execute(api, joined, 'echo mine >> /dev/shm/log');
      assert.equal(await execute(api, joined, 'cat /dev/shm/log'), 'one\nmine');
      assert.equal(await execute(api, owner, 'cat /dev/shm/log'), 'one');
      await api.post(`/containers/${joined}/restart?t=0`).is(204);
      assert.equal(await execute(api, joined, 'cat /dev/shm/log'), 'one');
    },
  );
  check('an IPC that is not shareable cannot be joined', async (api) => {
    const hint = /non-shareable IPC \(hint: use IpcMode:shareable for the donor container\)/;
    for (const mode of ['private', 'none']) {
      const owner = await api.run('sleep 600', { HostConfig: { IpcMode: mode } });
      await refused(api, { IpcMode: `container:${owner}` }, [400, 500], hint);
    }
    const own = await api.run('sleep 600', {
      HostConfig: { IpcMode: 'shareable', Tmpfs: { '/dev/shm': 'size=1m' } },
    });
    await refused(api, { IpcMode: `container:${own}` }, [400, 500], hint);
  });
  check('nothing joins a container that does not run, or is not there', async (api) => {
    const ended = await api.create({ Cmd: ['true'], HostConfig: { IpcMode: 'shareable' } });
    const down = new RegExp(`container ${ended} is not running`);
    await refused(api, { IpcMode: `container:${ended}` }, [409, 500], down);
    await refused(api, { PidMode: `container:${ended}` }, [500], down);
    await refused(
      api,
      { NetworkMode: `container:${ended}` },
      [409],
      /cannot join network .*of a non running container/,
    );
    await refused(api, { IpcMode: 'container:nosuch' }, [400], /No such container: nosuch/);
    await refused(api, { PidMode: 'container:nosuch' }, [400], /No such container: nosuch/);
    await refused(api, { NetworkMode: 'container:nosuch' }, [404, 500], /No such container: nosuch/);
    const self = await api.create({ HostConfig: { NetworkMode: 'container:myself' } }, 'myself');
    await api.post(`/containers/${self}/start`).is(500, { message: /cannot join own network/ });
  });
  check('IPC mode none: a namespace of its own, and no /dev/shm', async (api) => {
    const seen = await stdout(api, 'readlink /proc/self/ns/ipc; ls -d /dev/shm 2>&1; true', {
      IpcMode: 'none',
    });
    assert.match(seen, /^ipc:\[\d+\]\n.*No such file/);
    assert.ok(!seen.startsWith(readlinkSync('/proc/self/ns/ipc')));
  });
  check('a chain of shares ends where it began', async (api) => {
    const first = await api.run('echo first > /dev/shm/x; sleep 600', {
      HostConfig: { IpcMode: 'shareable' },
    });
    const second = await api.run('sleep 600', { HostConfig: { IpcMode: `container:${first}` } });
    assert.equal(await stdout(api, 'cat /dev/shm/x', { IpcMode: `container:${second}` }), 'first');
    const owner = await api.run('sleep 600', { Hostname: 'began' });
    const between = await api.run('sleep 600', { HostConfig: { NetworkMode: `container:${owner}` } });
    assert.equal(await stdout(api, 'cat /etc/hostname', { NetworkMode: `container:${between}` }), 'began');
    const hosts = await api.run('sleep 600', { HostConfig: { IpcMode: 'host', PidMode: 'host' } });
    assert.equal(
      await stdout(api, 'readlink /proc/self/ns/ipc', { IpcMode: `container:${hosts}` }),
      readlinkSync('/proc/self/ns/ipc'),
    );
  });
  check('unknown modes are refused', async (api) => {
    await refused(api, { IpcMode: 'bogus' }, [400, 500], /invalid IPC mode: bogus/i);
    await refused(api, { CgroupnsMode: 'bogus' }, [400], /invalid cgroup namespace mode: bogus/);
  });
  check('host names conflict with the host, and with what another container owns', async (api) => {
    const owner = await api.run('sleep 600', { Hostname: 'owner', Domainname: 'example.org' });
    const joined = { NetworkMode: `container:${owner}` };
    const conflicts: [Host, Host, string][] = [
      [{ UTSMode: 'host' }, { Hostname: 'x' }, 'hostname and the UTS mode'],
      [joined, { Hostname: 'x' }, 'hostname and the network mode'],
      [{ ...joined, Dns: ['10.0.0.1'] }, {}, 'dns and the network mode'],
      [{ ...joined, ExtraHosts: ['a:10.0.0.1'] }, {}, 'custom host-to-IP mapping and the network mode'],
      [joined, { ExposedPorts: { '80/tcp': {} } }, 'port exposing and the container type network mode'],
      [
        { ...joined, PortBindings: { '80/tcp': [{ HostPort: '' }] } },
        {},
        'port publishing and the container type network mode',
      ],
    ];
    for (const [hostConfig, body, words] of conflicts) {
      await refused(api, hostConfig, [400], new RegExp(`conflicting options: ${words}`), body);
    }
    const id = await api.run('hostname; cat /proc/sys/kernel/domainname; sleep 600', { HostConfig: joined });
    await api
      .get(`/containers/${id}/json`)
      .is(200, { Config: { Hostname: 'owner', Domainname: 'example.org' } });
    assert.equal(await execute(api, id, 'hostname; cat /proc/sys/kernel/domainname'), 'owner\nexample.org');
  });
  check(
    'a joined network goes on for who joined, and is joined anew after a restart of both',
    async (api) => {
      const owner = await api.run('httpd -p 127.0.0.1:80 -h /etc; echo; sleep 600', {}, 'net-owner');
      const joined = await api.run('sleep 600', { HostConfig: { NetworkMode: 'container:net-owner' } });
      const asks = 'wget -qO- http://127.0.0.1/hostname 2>/dev/null || echo cut off';
      const address = 'ip -4 -o addr show eth0 | grep -o "inet [0-9.]*"';
      const name = owner.slice(0, 12);
      await until('the owner serves', async () => (await execute(api, owner, asks)) === name);
      assert.equal(await execute(api, joined, asks), name);
      await api.post(`/containers/${owner}/restart?t=0`).is(204);
      await until('the owner serves again', async () => (await execute(api, owner, asks)) === name);
      assert.equal(await execute(api, joined, asks), 'cut off');
      await api.post(`/containers/${joined}/restart?t=0`).is(204);
      assert.equal(await execute(api, joined, asks), name);
      assert.equal(await execute(api, joined, address), await execute(api, owner, address));
    },
  );
  check(
    'who joined a network is cut off when the owner ends: the address may be another’s by then',
    async (api, daemon) => {
      const owner = await api.run('sleep 600', {}, 'gone-owner');
      const joined = await api.run('sleep 600', { HostConfig: { NetworkMode: 'container:gone-owner' } });
      const ping = `ping -c 1 -W 1 ${daemon.gateway} >/dev/null 2>&1 && echo reached || echo cut off`;
      assert.equal(await execute(api, joined, ping), 'reached');
      await api.post(`/containers/${owner}/kill`).is(204);
      await api.post(`/containers/${owner}/wait`).is(200);
      await until('the network is cut off', async () => (await execute(api, joined, ping)) === 'cut off');
    },
  );
  check('the host name: up to 64 characters, any of them, and a full name has a short one', async (api) => {
    const name = 'a'.repeat(64);
    assert.equal(await stdout(api, 'hostname', {}, { Hostname: name }), name);
    assert.equal(await stdout(api, 'hostname', {}, { Hostname: 'a_b c!' }), 'a_b c!');
    await refused(api, {}, [400, 500], /sethostname: invalid argument/i, { Hostname: 'a'.repeat(65) });
    assert.match(
      await stdout(api, 'hostname; tail -1 /etc/hosts', {}, { Hostname: 'full.example.org' }),
      /^full\.example\.org\n[\d.]+\tfull\.example\.org full$/,
    );
    const domain = 'd'.repeat(65);
    assert.equal(
      await stdout(api, 'cat /proc/sys/kernel/domainname', {}, { Domainname: domain }),
      domain.slice(0, 64),
    );
  });
  check('sysctls of the container’s own namespaces are set, in both spellings', async (api) => {
    assert.equal(
      await stdout(
        api,
        'cat /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max /proc/sys/net/ipv4/ip_default_ttl',
        {
          Sysctls: { 'kernel.shmmax': '100000', 'fs.mqueue.msg_max': '20', 'net/ipv4/ip_default_ttl': '34' },
        },
      ),
      '100000\n20\n34',
    );
  });
  check('sysctls that are the host’s are refused', async (api) => {
    const table: [Host, string, RegExp][] = [
      [{}, 'kernel.panic', /sysctl "kernel\.panic" is not in a separate kernel namespace/],
      [
        {},
        'kernel.hostname',
        /sysctl "kernel\.hostname" is not allowed as it conflicts with the OCI "hostname" field/,
      ],
      [
        { UTSMode: 'host' },
        'kernel.domainname',
        /sysctl "kernel\.domainname" is not in a separate kernel namespace/,
      ],
      [
        { NetworkMode: 'host' },
        'net.ipv4.ip_forward',
        /sysctl "net\.ipv4\.ip_forward" not allowed in host network namespace/,
      ],
      [
        { IpcMode: 'host' },
        'kernel.shmmax',
        /sysctl "kernel\.shmmax" is not allowed in the hosts ipc namespace/,
      ],
      [
        { IpcMode: 'host' },
        'fs.mqueue.msg_max',
        /sysctl "fs\.mqueue\.msg_max" is not allowed in the hosts ipc namespace/,
      ],
    ];
    for (const [hostConfig, name, words] of table) {
      await refused(api, { ...hostConfig, Sysctls: { [name]: '1' } }, [500], words);
    }
    const owner = await api.run('sleep 600', { HostConfig: { NetworkMode: 'host' } });
    await refused(
      api,
      { NetworkMode: `container:${owner}`, Sysctls: { 'net.ipv4.ip_forward': '1' } },
      [500],
      /not allowed in host network namespace/,
    );
  });
  check('groups are added by name and number, as the image knows them', async (api) => {
    assert.equal(await stdout(api, 'id -G', { GroupAdd: ['daemon', '4444'] }), '0 1 4444');
    const unknown = /unable to find group nosuch: no matching entries in group file/i;
    await refused(api, { GroupAdd: ['nosuch'] }, [400, 500], unknown);
    await refused(api, { GroupAdd: ['-4'] }, [400, 500], /uids and gids must be in range 0-2147483647/);
  });
  check('masked and read-only paths may be chosen', async (api) => {
    const shown = "grep -c ' /proc/' /proc/mounts; true";
    assert.equal(await stdout(api, shown, { MaskedPaths: [], ReadonlyPaths: [] }), '0');
    const id = await api.run('sleep 600', {
      HostConfig: { MaskedPaths: ['/proc/version', '/etc/passwd'], ReadonlyPaths: ['/proc/sys'] },
    });
    assert.equal(await execute(api, id, 'cat /proc/version /etc/passwd | wc -c'), '0');
    await api.get(`/containers/${id}/json`).is(200, {
      HostConfig: { MaskedPaths: ['/proc/version', '/etc/passwd'], ReadonlyPaths: ['/proc/sys'] },
    });
  });
  check('a cgroup namespace of its own, or the host’s', async (api) => {
    const first = 'head -1 /proc/self/cgroup';
    assert.match(await stdout(api, first, { CgroupnsMode: 'private' }), /:\/$/);
    assert.match(await stdout(api, first, { CgroupnsMode: 'host' }), /:\/.+\/[0-9a-f]{64}/);
  });
  check('annotations are kept, given to the runtime, and have names', async (api, daemon) => {
    // They came with API 1.43.
    if (daemon.name !== 'hull') return;
    const body = { Image: 'busybox', Cmd: ['sleep', '600'], HostConfig: { Annotations: { 'a.b/c': 'd' } } };
    const id = field(await api.post('/v1.43/containers/create', body).is(201), 'Id');
    await api.post(`/containers/${id}/start`).is(204);
    await api.get(`/v1.43/containers/${id}/json`).is(200, { HostConfig: { Annotations: { 'a.b/c': 'd' } } });
    const bundle = readFileSync(`${daemon.execRoot}/containers/${id}/config.json`, 'utf8');
    assert.equal((JSON.parse(bundle) as { annotations: Host }).annotations['a.b/c'], 'd');
    await api
      .post('/v1.43/containers/create', { ...body, HostConfig: { Annotations: { '': 'x' } } })
      .is(400, {
        message: 'invalid Annotations: the empty string is not permitted as an annotation key',
      });
  });
  check(
    'what a daemon that was killed left shared is still shared, and goes with its owner',
    async (api, daemon) => {
      if (daemon.name !== 'hull') return;
      const owner = await api.run('echo kept > /dev/shm/x; sleep 600', {
        HostConfig: { IpcMode: 'shareable' },
      });
      await daemon.kill();
      await daemon.start();
      assert.equal(await stdout(api, 'cat /dev/shm/x', { IpcMode: `container:${owner}` }), 'kept');
      await api.delete(`/containers/${owner}?force=1`).is(204);
      assert.deepEqual(
        mountsUnder(daemon.execRoot).filter((mount) => mount.endsWith('/shm')),
        [],
      );
    },
  );
});
