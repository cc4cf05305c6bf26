import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';

import { Daemon, mountsUnder, request, startDaemon } from '../daemons.ts';
import { grantedRoot, grantSubordinateIds, REMAPPED_USER } from '../subordinate-ids.ts';
import { tar } from '../tar-writer.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';
import { Api, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Host = Record<string, unknown>;

async function stdout(api: Api, line: string, hostConfig: Host = {}, body: Host = {}): Promise<string> {
  const { code, stdout, stderr } = await api.output(line, { ...body, HostConfig: hostConfig });
  assert.equal(code, 0, stderr);
  return stdout.trimEnd();
}

async function execute(api: Api, id: string, line: string, config: Host = {}): Promise<string> {
  const created = await api
    .post(`/containers/${id}/exec`, {
      Cmd: ['sh', '-c', line],
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
      ...config,
    })
    .is(201);
  const connection = await api.raw('POST', `/exec/${field(created, 'Id')}/start`, { body: { Tty: true } });
  return (await connection.end()).toString().replaceAll('\r', '').trimEnd();
}

/** The user that `--userns-remap=default` stands for goes again, where the test was what made him. */
function forgetDefaultUser(): Disposable {
  const there = (): boolean => /^dockremap:/m.test(readFileSync('/etc/passwd', 'utf8'));
  const before = there();
  return {
    [Symbol.dispose]: () => {
      if (!before && there()) execFileSync('userdel', ['dockremap'], { timeout: 10_000, stdio: 'pipe' });
    },
  };
}

/** Names and owners of a tar's members. */
function owners(archive: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const text = (from: number, length: number): string =>
      archive.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    found[text(0, 100)] = `${parseInt(text(108, 8), 8)}:${parseInt(text(116, 8), 8)}`;
    at += 512 + Math.ceil(parseInt(text(124, 12), 8) / 512) * 512;
  }
  return found;
}

async function hostPid(api: Api, id: string): Promise<number> {
  return Number(field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Pid'));
}

onEveryEngine(
  'user namespaces',
  ({ check }) => {
    check('info tells of them', async (api) => {
      await api.get('/info').is(200, {
        SecurityOptions: (options) => Array.isArray(options) && options.includes('name=userns'),
      });
    });
    check('root inside is nobody outside', async (api) => {
      const id = await api.run('sleep 600');
      const status = readFileSync(`/proc/${await hostPid(api, id)}/status`, 'utf8');
      const { uid, gid } = grantedRoot();
      assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s`, 'm'));
      assert.match(status, new RegExp(`^Gid:\\s+${gid}\\s`, 'm'));
      assert.equal(
        await execute(api, id, 'id -u; id -g; tr -s " " < /proc/self/uid_map'),
        `0\n0\n 0 ${uid} 65536`,
      );
    });
    check('files of the image belong to whom the image says, and can be changed by them', async (api) => {
      assert.equal(
        await stdout(api, 'stat -c %u:%g / /bin /etc/passwd /home/alice; touch /new; stat -c %u:%g /new'),
        '0:0\n0:0\n0:0\n1000:1000\n0:0',
      );
      assert.equal(
        await stdout(api, 'touch /home/alice/x; stat -c %u:%g /home/alice/x; id -u', {}, { User: 'alice' }),
        '1000:1000\n1000',
      );
      assert.equal(await stdout(api, 'chown alice /etc/passwd; stat -c %u /etc/passwd'), '1000');
    });
    check(
      'the network belongs to the container: it pings, and with NET_ADMIN it configures',
      async (api, daemon) => {
        const line = `ping -c 1 -W 1 ${daemon.gateway} >/dev/null && echo reached; ip link set lo mtu 1400 && ip -o link show lo`;
        assert.match(await stdout(api, line, { CapAdd: ['NET_ADMIN'] }), /^reached\n.*mtu 1400/);
        const { stderr } = await api.output('ip link set lo mtu 1400');
        assert.match(stderr, /Operation not permitted/);
      },
    );
    check('stdio can be opened anew, also by users and under a terminal', async (api) => {
      assert.equal(await stdout(api, 'echo out > /dev/stdout'), 'out');
      assert.equal(await stdout(api, 'echo out > /dev/stdout', {}, { User: 'alice' }), 'out');
      const id = await api.run('sleep 600', { Tty: true });
      assert.equal(await execute(api, id, 'echo out > $(tty)'), 'out');
      assert.equal(await execute(api, id, 'echo out > /dev/tty; id -u', { User: 'alice' }), 'out\n1000');
    });
    check('generated files, made directories and tmpfs are its root’s', async (api) => {
      const line =
        'stat -c %u:%g /etc/hosts /etc/hostname /etc/resolv.conf . /dev/shm /scratch; echo x >> /etc/hosts';
      assert.equal(
        await stdout(api, line, { Tmpfs: { '/scratch': '' } }, { WorkingDir: '/made/here' }),
        Array.from({ length: 6 }, () => '0:0').join('\n'),
      );
    });
    check('a volume is its root’s, and filled from the image with the owners there', async (api) => {
      const id = await api.run('touch /v/x /home/alice/y; echo done; sleep 600', {
        HostConfig: { Binds: ['fresh:/v', 'filled:/home/alice'] },
      });
      await api.spoke(id);
      assert.equal(
        await execute(api, id, 'stat -c %u:%g /v /v/x /home/alice /home/alice/y'),
        '0:0\n0:0\n1000:1000\n0:0',
      );
      const source = field(await api.get('/volumes/fresh').is(200), 'Mountpoint');
      assert.equal(statSync(path.join(source, 'x')).uid, grantedRoot().uid);
      await api.delete(`/containers/${id}?force=1`).is(204);
      for (const name of ['fresh', 'filled']) await api.delete(`/volumes/${name}`).is(204);
    });
    check('a bind mount keeps its owners: what is the host’s root’s is nobody’s inside', async (api) => {
      const directory = mkdtempSync(path.join(tmpdir(), 'userns-bind-'));
      try {
        writeFileSync(path.join(directory, 'f'), 'x', { mode: 0o644 });
        const { stdout, stderr } = await api.output('stat -c %u:%g /m/f; touch /m/new', {
          HostConfig: { Binds: [`${directory}/f:/m/f`] },
        });
        assert.equal(stdout, '65534:65534\n');
        assert.equal(stderr, '');
        const { stderr: denied } = await api.output('echo y > /f', {
          HostConfig: { Binds: [`${directory}/f:/f`] },
        });
        assert.match(denied, /Permission denied/);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
    check(
      'archives name owners as the container knows them: what is copied in, and an export',
      async (api) => {
        const id = await api.create({ Cmd: ['sleep', '600'] });
        const archive = tar([
          { name: 'roots', data: 'x', uid: 0, gid: 0 },
          { name: 'alices', data: 'y', uid: 1000, gid: 1000 },
        ]);
        for (const when of ['created', 'running']) {
          if (when === 'running') await api.post(`/containers/${id}/start`).is(204);
          await api.put(`/containers/${id}/archive?path=/tmp`, archive).is(200);
          const exported = owners((await api.get(`/containers/${id}/export`).reply()).body);
          assert.equal(exported['home/alice/'], '1000:1000', when);
          assert.equal(exported['tmp/roots'], '0:0', when);
          assert.equal(exported['tmp/alices'], '1000:1000', when);
        }
        assert.equal(await execute(api, id, 'stat -c %u:%g /tmp/roots /tmp/alices'), '0:0\n1000:1000');
      },
    );
    check('what is copied out has the owners that the container knows', async (api) => {
      const id = await api.run('touch /tmp/roots; echo done; sleep 600');
      await api.spoke(id);
      await execute(api, id, 'touch /tmp/alices; chown alice:alice /tmp/alices');
      const out = owners((await api.get(`/containers/${id}/archive?path=/tmp`).reply()).body);
      assert.equal(out['tmp/roots'], '0:0');
      assert.equal(out['tmp/alices'], '1000:1000');
    });
    check('changes and commit see what the container changed, and whose it is', async (api) => {
      const id = await api.run('touch /new; chown alice /new; chmod 600 /etc/group; echo done; sleep 600');
      await api.spoke(id);
      const changes = await api.get(`/containers/${id}/changes`).is(200);
      assert.ok(Array.isArray(changes));
      assert.deepEqual(
        changes.map((change) => `${field(change, 'Kind')} ${field(change, 'Path')}`).toSorted(),
        ['0 /etc', '0 /etc/group', '1 /new'],
      );
      await api.post(`/commit?container=${id}&repo=committed`, {}).is(201);
      const line = 'stat -c "%u:%g %a" /new /etc/group /etc/passwd';
      const seen = await stdout(api, line, {}, { Image: 'committed' });
      assert.equal(seen, '1000:0 644\n0:0 600\n0:0 644');
      await api.delete(`/containers/${id}?force=1`).is(204);
      await api.delete('/images/committed').is(200);
    });
    check('an image is the same in a user namespace and without', async (api) => {
      const line = 'stat -c %u:%g / /bin /home/alice';
      assert.equal(await stdout(api, line, { UsernsMode: 'host' }), await stdout(api, line));
    });
    check('what would reach into the host is refused', async (api) => {
      const table: [Host, RegExp][] = [
        [
          { Privileged: true },
          /^privileged mode is incompatible with user namespaces\. {2}You must run the container in the host namespace when running privileged mode$/,
        ],
        [
          { NetworkMode: 'host' },
          /^cannot share the host's network namespace when user namespaces are enabled$/,
        ],
        [{ PidMode: 'host' }, /^cannot share the host PID namespace when user namespaces are enabled$/],
      ];
      for (const [HostConfig, message] of table) {
        await api.post('/containers/create', { Image: 'busybox', HostConfig }).is(400, { message });
      }
    });
    check('--userns=host opts out', async (api) => {
      const id = await api.run('sleep 600', { HostConfig: { UsernsMode: 'host', NetworkMode: 'host' } });
      assert.equal(
        readlinkSync(`/proc/${await hostPid(api, id)}/ns/user`),
        readlinkSync('/proc/self/ns/user'),
      );
      await api.get(`/containers/${id}/json`).is(200, { HostConfig: { UsernsMode: 'host' } });
    });
    check('who shares a namespace with another container shares its user namespace', async (api) => {
      const owner = await api.run('echo note > /dev/shm/n; sleep 600', {
        HostConfig: { IpcMode: 'shareable' },
      });
      const id = `container:${owner}`;
      const line = 'readlink /proc/self/ns/user; stat -c %u:%g /proc/self/ /etc/hosts';
      const expected = `${await execute(api, owner, 'readlink /proc/self/ns/user')}\n0:0\n0:0`;
      for (const mode of [{ NetworkMode: id }, { IpcMode: id }, { PidMode: id }]) {
        assert.equal(await stdout(api, line, mode), expected, JSON.stringify(mode));
      }
      assert.equal(
        await stdout(api, 'cat /dev/shm/n; ip -o link show eth0 | wc -l', { IpcMode: id }),
        'note\n1',
      );
    });
    check(
      '/proc and /sys are read-only where they are elsewhere, and devices cannot be made',
      async (api) => {
        const { stderr } = await api.output('mknod /tmp/m c 1 3; echo 1 > /proc/sys/net/ipv4/ip_forward');
        assert.match(stderr, /mknod.*Operation not permitted/);
        assert.match(stderr, /ip_forward: Read-only file system/);
        assert.equal(await stdout(api, 'echo x > /dev/null && head -c 2 /dev/zero | wc -c'), '2');
      },
    );
    check('a sysctl of its network, a limit, a read-only root', async (api) => {
      const line = 'cat /proc/sys/net/ipv4/ip_forward; touch /x 2>&1; echo ok > /run/y; cat /run/y';
      assert.equal(
        await stdout(api, line, {
          Sysctls: { 'net.ipv4.ip_forward': '1' },
          Memory: 33_554_432,
          ReadonlyRootfs: true,
          Tmpfs: { '/run': 'size=1m' },
        }),
        '1\ntouch: /x: Read-only file system\nok',
      );
    });
    check('a domain name is set by whoever is not the host’s root', async (api) => {
      assert.equal(
        await stdout(api, 'hostname -f', {}, { Hostname: 'box', Domainname: 'example.org' }),
        'box.example.org',
      );
    });
    check('the IPC of the host can be shared: its message queues stay unseen', async (api) => {
      assert.equal(
        await stdout(api, 'readlink /proc/self/ns/ipc; grep -c mqueue /proc/mounts; true', {
          IpcMode: 'host',
        }),
        `${readlinkSync('/proc/self/ns/ipc')}\n0`,
      );
    });
    check(
      'a daemon that was killed finds its containers, and what it kept goes with them',
      async (api, daemon) => {
        if (daemon.name !== 'hull') return;
        const id = await api.run('sleep 600', {}, 'survivor');
        const namespace = await execute(api, id, 'readlink /proc/self/ns/user');
        await daemon.kill();
        await daemon.start();
        assert.equal(await execute(api, id, 'readlink /proc/self/ns/user'), namespace);
        assert.equal(await stdout(api, 'stat -c %u /home/alice'), '1000');
        await api.post('/containers/survivor/restart?t=0').is(204);
        assert.equal(await execute(api, id, 'id -u; stat -c %u /home/alice'), '0\n1000');
        await api.delete(`/containers/${id}?force=1`).is(204);
        const kept = readdirSync(path.join(daemon.execRoot, 'userns'));
        assert.equal(kept.length, 1, kept.join());
        await daemon.stop();
        assert.deepEqual(mountsUnder(daemon.execRoot), []);
        await daemon.start();
      },
    );
  },
  undefined,
  { flags: [`--userns-remap=${REMAPPED_USER}`], prepare: grantSubordinateIds },
);

describe('user namespaces that are not to be had', () => {
  const cases: [setting: string, said: RegExp][] = [
    ['a:b:c', /Invalid user\/group specification in --userns-remap: "a:b:c"/],
    ['nosuchuser', /Error during uid lookup for "nosuchuser"/],
    ['4242424', /Uid 4242424 has no entry in \/etc\/passwd/],
    ['nobody', /Error during gid lookup for "nobody"/],
    ['nobody:4242424', /Gid 4242424 has no entry in/],
    ['nobody:nosuchgroup', /Error during groupname lookup for "nosuchgroup"/],
    ['daemon', /Can't create ID mappings: [Nn]o sub[ug]id ranges found for user "daemon"/],
  ];
  for (const engine of (process.env.HULL_TEST_ENGINES ?? 'hull,docker').split(',')) {
    test(`${engine} does not start, and says why`, async () => {
      for (const [setting, said] of cases) {
        await using daemon = new Daemon(engine === 'hull' ? 'hull' : 'docker', {
          flags: [`--userns-remap=${setting}`],
        });
        await assert.rejects(daemon.start(), said, setting);
      }
    });
  }
  test('root is nobody to be mapped: they are off', async () => {
    await using daemon = await startDaemon('hull', { flags: ['--userns-remap=root'] });
    assert.match(daemon.log, /root cannot be remapped with itself; user namespaces are OFF/);
    const info = await request(daemon.socket, 'GET', '/info');
    assert.doesNotMatch(info.body.toString(), /name=userns/);
  });
  test('a container asks for one where the daemon gives none', async () => {
    using _ = forgetDefaultUser();
    await using daemon = await startDaemon('hull');
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const seen = 'cat /proc/self/uid_map | tr -s " "; stat -c %u:%g / /home/alice';
    const start = (): string => /^dockremap:(\d+):/m.exec(readFileSync('/etc/subuid', 'utf8'))?.[1] ?? '';
    const mapped = await stdout(api, seen, { UsernsMode: 'private' });
    assert.equal(mapped, ` 0 ${start()} 65536\n0:0\n1000:1000`);
    assert.equal(await stdout(api, seen, { SecurityOpt: ['userns=private'] }), mapped);
    assert.match(await stdout(api, seen), /^ 0 0 4294967295/);
    const conflict = { Image: 'busybox', HostConfig: { UsernsMode: 'private', Privileged: true } };
    await api
      .post('/containers/create', conflict)
      .is(400, { message: /^privileged mode is incompatible with user namespaces/ });
    for (const UsernsMode of ['auto', 'container:x']) {
      await api
        .post('/containers/create', { Image: 'busybox', HostConfig: { UsernsMode } })
        .is(400, { message: `invalid user namespace mode: ${UsernsMode}` });
    }
    const owner = await api.run('sleep 600', { HostConfig: { UsernsMode: 'private' } });
    await api.get(`/containers/${owner}/json`).is(200, { HostConfig: { UsernsMode: 'private' } });
    const network = { NetworkMode: `container:${owner}` };
    assert.equal(await stdout(api, seen, network), mapped);
    const id = await api.create({ HostConfig: { ...network, UsernsMode: 'host' } });
    await api
      .post(`/containers/${id}/start`)
      .is(409, { message: /^cannot share namespaces with container \w+: / });
  });
  test('a container of another mapping keeps its own', async () => {
    using _ = grantSubordinateIds();
    const directory = mkdtempSync(path.join(tmpdir(), 'userns-config-'));
    const file = path.join(directory, 'daemon.json');
    writeFileSync(file, JSON.stringify({ 'userns-remap': REMAPPED_USER }));
    await using daemon = await startDaemon('hull', { flags: [`--config-file=${file}`] });
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const id = await api.run('stat -c %u / /home/alice; cat /proc/self/uid_map');
    await api.post(`/containers/${id}/wait`).is(200);
    const before = (await api.get(`/containers/${id}/logs?stdout=1`).reply()).body.toString();
    await daemon.stop();
    writeFileSync(file, '{}');
    await daemon.start();
    await api.post(`/containers/${id}/start`).is(204);
    await api.post(`/containers/${id}/wait`).is(200);
    const after = (await api.get(`/containers/${id}/logs?stdout=1`).reply()).body.toString();
    assert.equal(after, before + before);
    assert.equal(await stdout(api, 'stat -c %u /; cat /proc/self/uid_map | tr -s " "'), '0\n 0 0 4294967295');
    rmSync(directory, { recursive: true });
  });
});
