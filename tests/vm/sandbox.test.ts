import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';

import type { Api } from '../api/client.ts';
import { type Daemon, until } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { childrenOf, field, nameOf, processesOf, startVmDaemon, vm, type VmProcesses } from './vm-daemon.ts';

/**
 * What someone who has broken out of QEMU has, looked at from the host at the real process; and tried, as its user in its own mounts
 * (docs/SANDBOX.md).
 */
suite('the sandbox of a microVM', { timeout: 300_000 }, () => {
  const snapshot = hostSnapshot();
  let daemon: Daemon;
  let api: Api;
  let id: string;
  let own: VmProcesses;
  let other: VmProcesses;

  before(async () => {
    ({ daemon, api } = await startVmDaemon({ savedGuests: false }));
    // At once, so that both want the saved guest that is not there yet.
    const [first, second] = await Promise.all([
      api.run('exec sleep 600', vm()),
      api.run('exec sleep 600', vm({ NetworkMode: 'none' })),
    ]);
    id = first;
    own = await processesOf(api, first);
    other = await processesOf(api, second);
  });
  const execute = async (container: string, line: string): Promise<string> => {
    const exec = await api
      .post(`/containers/${container}/exec`, { Cmd: ['sh', '-c', line], AttachStdout: true, Tty: true })
      .is(201);
    return (
      await api.post(`/exec/${(exec as { Id: string }).Id}/start`, { Tty: true }).reply()
    ).body.toString();
  };
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await assertNoLeaks(snapshot, [daemon.directory]);
  });

  test('both go on from one saved guest, which was made once', () => {
    assert.equal(daemon.log.match(/Saved a guest that has booted/g)?.length, 1);
  });

  test('QEMU and hull-vm are one user, nobody of the host and of no other VM, without groups', () => {
    const uid = field(own.qemu, 'Uid').split('\t')[0] ?? '';
    assert.ok(Number(uid) >= 0x4000_0000, uid);
    for (const pid of [own.qemu, own.hullVm]) {
      assert.equal(field(pid, 'Uid'), Array(4).fill(uid).join('\t'));
      assert.equal(field(pid, 'Gid'), Array(4).fill(uid).join('\t'));
      assert.equal(field(pid, 'Groups'), '');
    }
    assert.notEqual(field(other.qemu, 'Uid'), field(own.qemu, 'Uid'));
  });

  test('they have no capability, no way to one, and filters', () => {
    for (const pid of [own.qemu, own.hullVm]) {
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.equal(field(pid, set), '0'.repeat(16), `${set} of ${nameOf(pid)}`);
      assert.equal(field(pid, 'NoNewPrivs'), '1');
      assert.equal(field(pid, 'Seccomp'), '2');
    }
    // The sandbox's, ours for QEMU, and QEMU's own.
    assert.equal(field(own.qemu, 'Seccomp_filters') || '3', '3');
  });

  test('every namespace but the user’s and the time’s is its own, the network’s even beside hull-vm', () => {
    for (const name of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts']) {
      const of = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/${name}`);
      for (const stranger of ['self', other.qemu, other.hullVm])
        assert.notEqual(of(own.qemu), of(stranger), name);
      assert.equal(of(own.qemu) === of(own.hullVm), name !== 'net', name);
    }
  });

  test('its network namespace has a loopback interface that is down, and nothing else', () => {
    const [, , ...lines] = readFileSync(`/proc/${own.qemu}/net/dev`, 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => line.split(':')[0]?.trim()),
      ['lo'],
    );
    assert.equal(readFileSync(`/proc/${own.qemu}/net/fib_trie`, 'utf8'), '');
    assert.equal(readFileSync(`/proc/${own.qemu}/net/if_inet6`, 'utf8'), '');
  });

  test('its descriptors are its own files, sockets without a name and one tap', () => {
    const targets = readdirSync(`/proc/${own.qemu}/fd`).map((fd) =>
      readlinkSync(`/proc/${own.qemu}/fd/${fd}`).replace(/:\[\d+\]$/, ''),
    );
    const paths = [...new Set(targets)].filter((target) => !target.startsWith('anon_inode:')).toSorted();
    assert.deepEqual(paths, [
      '/dev/net/tun',
      '/dev/null',
      '/dev/urandom',
      '/run/layer0',
      '/run/ram',
      '/run/top',
      'pipe',
      'socket',
    ]);
    assert.equal(targets.filter((target) => target === '/dev/net/tun').length, 1);
    for (const name of ['/run/layer0', '/run/ram']) {
      for (const fd of fdsOf(own.qemu, name)) assert.equal(accessOf(own.qemu, fd), 0, `${name} is read only`);
    }
    assert.deepEqual(fdsOf(other.qemu, '/dev/net/tun'), []);
  });

  test('all that it sees is mounted read-only, but its own few places', () => {
    const mounts = mountsOf(own.qemu);
    const writable = mounts.filter(({ options }) => options.includes('rw')).map(({ target }) => target);
    assert.deepEqual(writable.toSorted(), [
      '/dev',
      '/dev/pts',
      '/proc',
      '/run',
      '/run/top',
      '/run/vm',
      '/tmp',
    ]);
    for (const { target, options, type } of mounts.filter(({ target }) => target !== '/')) {
      for (const option of target === '/dev' ? ['nosuid'] : ['nosuid', 'noexec'])
        assert.ok(options.includes(option), `${target} is ${option}`);
      assert.ok(!['cgroup', 'cgroup2', 'sysfs', 'mqueue', 'devtmpfs'].includes(type), `${target} is ${type}`);
    }
  });

  test('it can write to nothing but /run/vm and devices that keep nothing', () => {
    const root = `/proc/${own.qemu}/root`;
    const found = asUser(
      own.qemu,
      `find ${root}/ -path ${root}/proc -prune -o ! -type l -writable -print 2>/dev/null; true`,
    );
    assert.deepEqual(
      found
        .split('\n')
        .map((name) => name.slice(root.length))
        .toSorted(),
      [
        '/dev/full',
        '/dev/null',
        '/dev/pts/ptmx',
        '/dev/random',
        '/dev/tty',
        '/dev/urandom',
        '/dev/zero',
        '/run/vm',
        '/run/vm/sock',
      ],
    );
  });

  test('it can open neither its files anew in another way, nor what hull-vm was told, nor the saved guest', () => {
    const root = `/proc/${own.qemu}/root`;
    const [layer = '', ram = '', top = ''] = ['/run/layer0', '/run/ram', '/run/top'].map(
      (name) => fdsOf(own.qemu, name)[0] ?? '',
    );
    const writes = [
      ...[layer, ram].map((fd) => `/proc/${own.qemu}/fd/${fd}`),
      `/proc/${own.qemu}/fd/${top}`,
      ...['ram', 'state', 'top', 'layer0', 'hull-vm'].map((name) => `${root}/run/${name}`),
      ...['/hull-vm', '/guest/initrd', '/usr/bin/qemu-system-x86_64', '/dev/net/tun'].map(
        (name) => root + name,
      ),
    ];
    for (const file of writes)
      assert.match(asUser(own.qemu, `exec 3>>${file}`), /Permission denied|Read-only|nonexistent/, file);
    for (const name of ['/run/hull-vm', '/run/top', '/run/layer0', '/hull-vm'])
      assert.match(asUser(own.qemu, `cat ${root}${name} >/dev/null`), /Permission denied/, name);
  });

  test('its /proc shows processes alone, and of them its own', () => {
    assert.deepEqual(
      readdirSync(`/proc/${own.qemu}/root/proc`).filter((name) => !/^\d+$/.test(name)),
      ['self', 'thread-self'],
    );
    const options = mountsOf(own.qemu).find(({ target }) => target === '/proc')?.superOptions ?? [];
    assert.ok(options.includes('hidepid=invisible') || options.includes('hidepid=2'), options.join());
  });

  test('it can look into neither hull-vm nor an exec’s, though they are the same user', async () => {
    const exec = await api
      .post(`/containers/${id}/exec`, { Cmd: ['sleep', '600'], AttachStdout: true })
      .is(201);
    const connection = await api.raw('POST', `/exec/${(exec as { Id: string }).Id}/start`, {
      body: { Detach: false },
    });
    let pid = 0;
    await until('an exec runs', () => {
      pid =
        readdirSync('/proc')
          .map(Number)
          .find(
            (each) =>
              field(each, 'Uid') === field(own.qemu, 'Uid') &&
              nameOf(each) === 'hull-vm' &&
              each !== own.hullVm,
          ) ?? 0;
      return pid !== 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('exec');
    });
    for (const each of [own.hullVm, pid]) {
      assert.match(asUser(own.qemu, `cat /proc/${each}/maps`), /Permission denied/);
      assert.match(asUser(own.qemu, `exec 3<>/proc/${each}/mem`), /Permission denied/);
      assert.match(asUser(own.qemu, `ls /proc/${each}/fd`), /Permission denied/);
      assert.match(asUser(own.qemu, `readlink /proc/${each}/ns/net || echo refused`), /refused/);
    }
    connection.close();
  });

  test('its cgroup limits memory and threads, its files cannot grow, it leaves no core', () => {
    const limits = readFileSync(`/proc/${own.qemu}/limits`, 'utf8');
    assert.match(limits, /Max file size +69\d{9} +69\d{9} /);
    assert.match(limits, /Max core file size +0 +0 /);
    assert.match(limits, /Max open files +1024 +1024 /);
    const most = (file: string): number => Math.min(...cgroupFiles(own.qemu, file).map(Number));
    assert.ok(most('pids.max') <= 4096, `${most('pids.max')} threads`);
    const memory = cgroupFiles(own.qemu, 'memory.max').concat(cgroupFiles(own.qemu, 'memory.limit_in_bytes'));
    assert.ok(Math.min(...memory.map(Number)) <= (1024 + 256) * 2 ** 20, memory.join());
  });

  test('what it maps are its program, the libraries and the saved guest, nothing of the host', () => {
    const mapped = new Set(
      readFileSync(`/proc/${own.qemu}/maps`, 'utf8')
        .split('\n')
        .map((line) => line.split(/\s+/)[5] ?? '')
        .filter((name) => name.startsWith('/')),
    );
    for (const name of mapped)
      assert.match(name, /^\/(usr\/(bin\/qemu-system|lib)|guest\/|run\/ram$|hull-vm-(ram|trim)\.so$)/);
  });

  test('what was translated for the start is let go when the guest is idle', async () => {
    await until('less than half of it is left', () => translated(own.qemu) < 16 * 1024);
    assert.equal(await execute(id, 'echo it goes on'), 'it goes on\r\n');
  });

  test('what the guest frees goes back to the host, though its memory began as the saved guest’s', async () => {
    const anonymous = (): number => Number.parseInt(field(own.qemu, 'RssAnon'), 10) / 1024;
    await execute(id, 'dd if=/dev/urandom of=/dev/shm/much bs=1M count=60 2>/dev/null');
    const much = anonymous();
    await execute(id, 'rm /dev/shm/much');
    await until(`${much} MiB become 20 less`, () => anonymous() < much - 20);
  });

  test('nothing else of the VM’s is left of the host’s root: the monitor alone', () => {
    assert.equal(nameOf(own.monitor), 'hull-monitor');
    assert.deepEqual(childrenOf(own.hullVm), [own.qemu]);
  });
});

/** What a shell line says, run from outside as QEMU's user without capabilities, on stdout and stderr. */
function asUser(qemu: number, line: string): string {
  const uid = field(qemu, 'Uid').split('\t')[0] ?? '';
  const identity = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--bounding-set=-all'];
  return execFileSync('setpriv', [...identity, '--no-new-privs', 'sh', '-c', `(${line}) 2>&1; true`], {
    encoding: 'utf8',
    cwd: '/',
    timeout: 10_000,
  }).trim();
}

function fdsOf(pid: number, target: string): string[] {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === target);
}

/** 0 reading, 1 writing, 2 both. */
function accessOf(pid: number, fd: string): number {
  const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
  return Number.parseInt(flags, 8) & 3;
}

interface Mount {
  target: string;
  options: string[];
  type: string;
  superOptions: string[];
}

function mountsOf(pid: number): Mount[] {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [before = '', behind = ''] = line.split(' - ');
      const [type = '', , superOptions = ''] = behind.split(' ');
      const fields = before.split(' ');
      return {
        target: fields[4] ?? '',
        options: (fields[5] ?? '').split(','),
        type,
        superOptions: superOptions.split(','),
      };
    });
}

/** The values of a cgroup's file in all hierarchies that have it. */
function cgroupFiles(pid: number, file: string): string[] {
  return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const [, controllers = '', place = ''] = line.split(':');
      return [controllers.replace('name=', ''), ''].map((each) => `/sys/fs/cgroup/${each}/${place}/${file}`);
    })
    .flatMap((name) => {
      try {
        return [readFileSync(name, 'utf8').trim()];
      } catch {
        return [];
      }
    });
}

/** KiB of translated code that QEMU holds. */
function translated(pid: number): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[\da-f]+-)/m);
  return mappings
    .filter((mapping) => / rwxp .* 0 *$/m.test(mapping.split('\n')[0] ?? ''))
    .reduce((sum, mapping) => sum + Number(/^Rss: +(\d+)/m.exec(mapping)?.[1] ?? 0), 0);
}
