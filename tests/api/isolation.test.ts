import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { field, type Api } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Host = Record<string, unknown>;

async function stdout(api: Api, line: string, hostConfig: Host = {}, body: Host = {}): Promise<string> {
  const { code, stdout, stderr } = await api.output(line, { ...body, HostConfig: hostConfig });
  assert.equal(code, 0, stderr);
  return stdout.trimEnd();
}

const DEFAULT_CAPABILITIES = '00000000a80425fb';

onEveryEngine('isolation', ({ check }) => {
  check('namespaces of its own: pid, mount, uts, ipc, net', async (api) => {
    const listed = await stdout(api, 'for n in pid mnt uts ipc net; do readlink /proc/self/ns/$n; done');
    const own = ['pid', 'mnt', 'uts', 'ipc', 'net'].map((name) => readlinkSync(`/proc/self/ns/${name}`));
    for (const [index, name] of listed.split('\n').entries()) assert.notEqual(name, own[index]);
    assert.equal(await stdout(api, 'echo $$'), '1');
  });
  check('the namespaces of the host where asked for', async (api) => {
    const line = 'for n in pid uts ipc net; do readlink /proc/self/ns/$n; done';
    const listed = await stdout(api, line, {
      PidMode: 'host',
      UTSMode: 'host',
      IpcMode: 'host',
      NetworkMode: 'host',
    });
    assert.deepEqual(
      listed.split('\n'),
      ['pid', 'uts', 'ipc', 'net'].map((name) => readlinkSync(`/proc/self/ns/${name}`)),
    );
  });
  check('default capabilities, added, dropped, all, none', async (api) => {
    const effective = async (hostConfig: Host, body: Host = {}): Promise<string> =>
      (await stdout(api, 'grep CapEff /proc/self/status', hostConfig, body)).replace(/^CapEff:\s*/, '');
    assert.equal(await effective({}), DEFAULT_CAPABILITIES);
    assert.equal(await effective({ CapDrop: ['CHOWN', 'CAP_NET_RAW'] }), '00000000a80405fa');
    assert.equal(await effective({ CapAdd: ['NET_ADMIN'] }), '00000000a80435fb');
    assert.equal(await effective({ CapDrop: ['ALL'] }), '0000000000000000');
    assert.equal(await effective({ CapDrop: ['ALL'], CapAdd: ['KILL'] }), '0000000000000020');
    assert.equal(await effective({}, { User: 'alice' }), '0000000000000000');
    const bounding = await stdout(api, 'grep CapBnd /proc/self/status', {}, { User: 'alice' });
    assert.equal(bounding.replace(/^CapBnd:\s*/, ''), DEFAULT_CAPABILITIES);
  });
  check('privileged: every capability the host has, no seccomp, nothing masked', async (api) => {
    const status = await stdout(api, 'grep -E "CapEff|^Seccomp:" /proc/self/status | tr -d "\\t"', {
      Privileged: true,
    });
    const [, effective = ''] = /^CapEff:([0-9a-f]+)\nSeccomp:0$/.exec(status) ?? [];
    const host = /CapEff:\s*([0-9a-f]+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    // A guest has those too that the host's root may lack.
    assert.equal(BigInt(`0x${host}`) & ~BigInt(`0x${effective}`), 0n, `${effective} has not all of ${host}`);
    assert.equal(await stdout(api, 'grep -c " /proc/" /proc/mounts; true', { Privileged: true }), '0');
  });
  check('an unknown capability is 400', async (api) => {
    await api
      .post('/containers/create', { Image: 'busybox', HostConfig: { CapAdd: ['NOSUCH'] } })
      .is(400, { message: /unknown capability/i });
  });
  check('seccomp filters by default, and not when unconfined', async (api) => {
    const mode = 'grep ^Seccomp: /proc/self/status | tr -d "\\t"';
    assert.equal(await stdout(api, mode), 'Seccomp:2');
    assert.equal(await stdout(api, mode, { SecurityOpt: ['seccomp=unconfined'] }), 'Seccomp:0');
  });
  check("seccomp refuses mount, unshare, keyctl and friends; a filter of one's own is used", async (api) => {
    const { stderr, code } = await api.output('unshare -m true');
    assert.notEqual(code, 0);
    assert.match(stderr, /Operation not permitted/);
    const profile = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
    });
    const own = await api.output('mkdir /tmp/x', { HostConfig: { SecurityOpt: [`seccomp=${profile}`] } });
    assert.match(own.stderr, /Operation not permitted/);
  });
  check('masked and read-only paths', async (api) => {
    const kept = (paths: string[]): string[] => paths.filter((each) => existsSync(each));
    const options = new Map(
      (await stdout(api, 'cat /proc/mounts'))
        .split('\n')
        .map((line) => [line.split(' ')[1], line.split(' ')[3]]),
    );
    for (const readonly of kept(['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'])) {
      assert.match(options.get(readonly) ?? '', /^ro,/, readonly);
    }
    for (const masked of kept([
      '/proc/kcore',
      '/proc/keys',
      '/proc/timer_list',
      '/proc/sched_debug',
      '/proc/scsi',
    ])) {
      assert.ok(options.has(masked), masked);
    }
    assert.equal(
      await stdout(api, 'cat /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware | wc -l'),
      '0\n0',
    );
    const { stderr } = await api.output('echo x > /proc/sys/kernel/hostname');
    assert.match(stderr, /Read-only file system/);
  });
  check('mounts and their options', async (api) => {
    const mounts = await stdout(api, 'cat /proc/mounts');
    const options = (target: string): string[] =>
      (
        mounts
          .split('\n')
          .find((line) => line.split(' ')[1] === target)
          ?.split(' ')[3] ?? ''
      ).split(',');
    const has = (target: string, ...wanted: string[]): void => {
      for (const option of wanted)
        assert.ok(options(target).includes(option), `${target}: ${option} in ${options(target).join()}`);
    };
    has('/proc', 'rw', 'nosuid', 'nodev', 'noexec');
    has('/dev', 'rw', 'nosuid', 'size=65536k', 'mode=755');
    has('/dev/pts', 'nosuid', 'noexec', 'gid=5', 'mode=620', 'ptmxmode=666');
    has('/sys', 'ro', 'nosuid', 'nodev', 'noexec');
    has('/sys/fs/cgroup', 'nosuid', 'nodev', 'noexec');
    has('/dev/mqueue', 'nosuid', 'nodev', 'noexec');
    has('/dev/shm', 'nosuid', 'nodev', 'noexec', 'size=65536k');
    has('/', 'rw');
  });
  check('devices', async (api) => {
    const list = await stdout(api, 'ls /dev | sort | tr "\\n" " "');
    assert.equal(
      list.replace('core ', ''),
      'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero',
    );
    assert.equal(
      await stdout(api, 'echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c'),
      '4\n4',
    );
    const made = await api.output('mknod /tmp/m c 1 1 && head -c 1 /tmp/m');
    assert.match(made.stderr, /Operation not permitted/);
  });
  check('a device of the host', async (api) => {
    assert.equal(
      await stdout(api, 'test -c /dev/mine && echo yes', {
        Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/mine', CgroupPermissions: 'rwm' }],
      }),
      'yes',
    );
  });
  check('users are looked up in the image', async (api) => {
    const who = async (user: string, hostConfig: Host = {}): Promise<string> =>
      stdout(api, 'id; echo $HOME', hostConfig, { User: user });
    assert.match(await who(''), /^uid=0\(root\) gid=0\(root\)[^\n]*\n\/root$/);
    assert.match(
      await who('alice'),
      /^uid=1000\(alice\) gid=1000\(alice\) groups=[^\n]*20\(dialout\)[^\n]*\n\/home\/alice$/,
    );
    assert.match(await who('alice:daemon'), /^uid=1000\(alice\) gid=1\(daemon\)/);
    assert.match(await who('1000'), /^uid=1000\(alice\) gid=1000\(alice\)/);
    assert.match(await who('4242:4343'), /^uid=4242 gid=4343/);
    assert.match(await who('4242'), /^uid=4242 gid=0\(root\)/);
    assert.match(await who('alice', { GroupAdd: ['7777', 'daemon'] }), /groups=[^\n]*1\(daemon\)[^\n]*7777/);
  });
  check('an unknown user fails the start', async (api) => {
    const id = await api.create({ Cmd: ['true'], User: 'nobodyhere' });
    await api
      .post(`/containers/${id}/start`)
      .is([400, 500], { message: /unable to find user nobodyhere: no matching entries in passwd file/ });
  });
  check('limits: memory, cpu, pids, in the cgroup', async (api) => {
    const read =
      'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max';
    assert.equal(await stdout(api, read, { Memory: 33_554_432 }), '33554432');
    const pids = 'cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max';
    assert.equal(await stdout(api, pids, { PidsLimit: 42 }), '42');
    const quota = await stdout(
      api,
      'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || tr " " "\\n" < /sys/fs/cgroup/cpu.max',
      { NanoCpus: 500_000_000 },
    );
    assert.equal(quota, '50000\n100000');
  });
  check('too much memory kills, and the state says so', async (api) => {
    const id = await api.run('tail /dev/zero', {
      HostConfig: { Memory: 16_777_216, MemorySwap: 16_777_216 },
    });
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: (code) => code === 137 || code === 1 });
    await api.get(`/containers/${id}/json`).is(200, { State: { OOMKilled: true } });
  });
  check('ulimits', async (api) => {
    assert.equal(
      await stdout(api, 'ulimit -n; ulimit -Hn', { Ulimits: [{ Name: 'nofile', Soft: 512, Hard: 1024 }] }),
      '512\n1024',
    );
    await api
      .post('/containers/create', {
        Image: 'busybox',
        HostConfig: { Ulimits: [{ Name: 'nosuch', Soft: 1, Hard: 1 }] },
      })
      .is([201, 400]);
  });
  check('host name, hosts, resolv.conf', async (api) => {
    const id = await api.run('hostname; cat /etc/hosts', {
      Hostname: 'boxy',
      HostConfig: { ExtraHosts: ['db:10.1.2.3'] },
    });
    await api.post(`/containers/${id}/wait`).is(200);
    const text = (await api.get(`/containers/${id}/logs?stdout=1`).reply()).body.toString();
    assert.match(text, /boxy/);
    assert.match(text, /127\.0\.0\.1\tlocalhost/);
    assert.match(text, /10\.1\.2\.3\tdb/);
    assert.match(text, /10\.\d+\.\d+\.\d+\tboxy/);
    const resolv = await stdout(api, 'cat /etc/resolv.conf', {
      Dns: ['10.9.9.9'],
      DnsSearch: ['example.org'],
      DnsOptions: ['ndots:2'],
    });
    assert.match(resolv, /nameserver 10\.9\.9\.9/);
    assert.match(resolv, /search example\.org/);
    assert.match(resolv, /options ndots:2/);
    assert.equal(
      await stdout(
        api,
        'hostname; domainname 2>/dev/null || cat /proc/sys/kernel/domainname',
        {},
        { Hostname: 'h', Domainname: 'd.org' },
      ),
      'h\nd.org',
    );
  });
  check('a read-only root', async (api) => {
    const { code, stderr } = await api.output('touch /x', { HostConfig: { ReadonlyRootfs: true } });
    assert.notEqual(code, 0);
    assert.match(stderr, /Read-only file system/);
    assert.equal(
      await stdout(api, 'echo ok > /run/x; cat /run/x', {
        ReadonlyRootfs: true,
        Tmpfs: { '/run': 'size=1m' },
      }),
      'ok',
    );
  });
  check('tmpfs with options', async (api) => {
    const line = await stdout(api, 'grep " /scratch " /proc/mounts', {
      Tmpfs: { '/scratch': 'size=2m,mode=1770,exec' },
    });
    assert.match(line, /^tmpfs \/scratch tmpfs .*size=2048k,mode=1770/);
    assert.doesNotMatch(line, /noexec/);
    assert.match(
      await stdout(api, 'grep " /scratch " /proc/mounts', { Tmpfs: { '/scratch': '' } }),
      /rw,nosuid,nodev,noexec/,
    );
  });
  check('an init reaps and forwards signals', async (api) => {
    const name = await stdout(api, 'cat /proc/1/comm; echo $$', { Init: true });
    assert.match(name, /init/);
    assert.doesNotMatch(name, /\n1$/);
  });
  check('no new privileges', async (api) => {
    const line = 'grep NoNewPrivs /proc/self/status | tr -d "\\t"';
    assert.equal(await stdout(api, line), 'NoNewPrivs:0');
    assert.equal(await stdout(api, line, { SecurityOpt: ['no-new-privileges'] }), 'NoNewPrivs:1');
    assert.equal(await stdout(api, line, { SecurityOpt: ['no-new-privileges:true'] }), 'NoNewPrivs:1');
  });
  check('an unknown security option is refused', async (api) => {
    await api
      .post('/containers/create', { Image: 'busybox', HostConfig: { SecurityOpt: ['nosuch=1'] } })
      .is([400, 500]);
  });
  check('sysctls, shm size, working directory, environment', async (api) => {
    assert.equal(
      await stdout(api, 'cat /proc/sys/net/ipv4/ip_default_ttl', {
        Sysctls: { 'net.ipv4.ip_default_ttl': '33' },
      }),
      '33',
    );
    assert.match(await stdout(api, 'grep " /dev/shm " /proc/mounts', { ShmSize: 1_048_576 }), /size=1024k/);
    assert.equal(await stdout(api, 'pwd', {}, { WorkingDir: '/made/here' }), '/made/here');
    assert.equal(
      await stdout(api, 'echo $A-$B-$HOSTNAME', {}, { Env: ['A=1', 'B='], Hostname: 'hn' }),
      '1--hn',
    );
  });
  check("another container's network namespace", async (api) => {
    const first = await api.run('sleep 600', { Hostname: 'first' });
    const address = field(
      await api.get(`/containers/${first}/json`).is(200),
      'NetworkSettings',
      'Networks',
      'bridge',
      'IPAddress',
    );
    assert.match(
      await stdout(api, 'ip -4 addr show eth0', { NetworkMode: `container:${first}` }),
      new RegExp(address),
    );
  });
  check("another container's pid namespace", async (api) => {
    const first = await api.run('sleep 600');
    assert.match(await stdout(api, 'ps', { PidMode: `container:${first}` }), /sleep 600/);
  });
  check('bind mounts, read-only too', async (api) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'bind-'));
    try {
      writeFileSync(path.join(directory, 'in'), 'from the host\n');
      assert.equal(
        await stdout(api, 'cat /m/in; echo back > /m/out', { Binds: [`${directory}:/m`] }),
        'from the host',
      );
      assert.equal(readFileSync(path.join(directory, 'out'), 'utf8'), 'back\n');
      const { stderr } = await api.output('touch /m/x', { HostConfig: { Binds: [`${directory}:/m:ro`] } });
      assert.match(stderr, /Read-only file system/);
      const mounted = await stdout(api, 'cat /file', {
        Mounts: [{ Type: 'bind', Source: `${directory}/in`, Target: '/file', ReadOnly: true }],
      });
      assert.equal(mounted, 'from the host');
      await api
        .post('/containers/create', {
          Image: 'busybox',
          HostConfig: { Mounts: [{ Type: 'bind', Source: `${directory}/nope`, Target: '/f' }] },
        })
        .is(400, { message: /bind source path does not exist/ });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
