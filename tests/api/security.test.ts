import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';

import { startDaemon } from '../daemons.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';
import { Api, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Host = Record<string, unknown>;

const STATUS = 'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status | tr -d "\\t" | tr "\\n" " "';
const NO_MKDIR = JSON.stringify({
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 }],
});

async function status(api: Api, host: Host = {}): Promise<string> {
  return (await api.output(STATUS, { HostConfig: host })).stdout.trim();
}

onEveryEngine('security', ({ check }) => {
  check(
    'no user of the host walks into a root filesystem, where there may be setuid programs',
    async (api, daemon) => {
      const id = await api.run('sleep 60');
      const inspected = await api.get(`/containers/${id}/json`).is(200);
      let directory = field(inspected, 'GraphDriver', 'Data', 'MergedDir');
      const open: string[] = [];
      for (; directory !== daemon.directory; directory = path.dirname(directory)) {
        if ((statSync(directory).mode & 0o001) !== 0) open.push(directory);
        else return;
      }
      assert.fail(`open to everybody: ${open.join(', ')}`);
    },
  );
  check('no-new-privileges, by all the words of truth', async (api) => {
    assert.equal(await status(api), 'NoNewPrivs:0 Seccomp:2');
    for (const option of ['no-new-privileges', 'no-new-privileges=true', 'no-new-privileges:T'])
      assert.equal(await status(api, { SecurityOpt: [option] }), 'NoNewPrivs:1 Seccomp:2', option);
    assert.match(await status(api, { SecurityOpt: ['no-new-privileges=0'] }), /^NoNewPrivs:0/);
  });
  check('a privileged container is filtered where it asks for it', async (api) => {
    const filtered = await api.output('mkdir /tmp/x; echo $?', {
      HostConfig: { Privileged: true, SecurityOpt: [`seccomp=${NO_MKDIR}`] },
    });
    assert.match(filtered.stderr, /Permission denied/);
  });
  check('what is no security option is refused', async (api) => {
    for (const [option, message] of [
      ['nonsense', 'invalid --security-opt 1: "nonsense"'],
      ['foo=bar', 'invalid --security-opt 2: "foo=bar"'],
      ['no-new-privileges=maybe', 'invalid --security-opt 2: "no-new-privileges=maybe"'],
    ]) {
      await api
        .post('/containers/create', { Image: 'busybox', HostConfig: { SecurityOpt: [option] } })
        .is([400, 500], { message });
    }
  });
  check('a profile that is no profile fails the start', async (api) => {
    const id = await api.create({ Cmd: ['true'], HostConfig: { SecurityOpt: ['seccomp={'] } });
    await api
      .post(`/containers/${id}/start`)
      .is([400, 500], { message: /[dD]ecoding seccomp profile failed/ });
  });
  check('writable cgroups are writable', async (api) => {
    const mode = 'grep " /sys/fs/cgroup" /proc/mounts | tail -n 1 | cut -d" " -f4 | cut -c1-2';
    const host = (value: string): Host => ({ HostConfig: { SecurityOpt: [`writable-cgroups=${value}`] } });
    assert.equal((await api.output(mode)).stdout, 'ro\n');
    assert.equal((await api.output(mode, host('false'))).stdout, 'ro\n');
    assert.equal((await api.output(mode, host('true'))).stdout, 'rw\n');
  });
  check('what has no effect on this host comes back as a warning', async (api) => {
    await api
      .post('/containers/create', {
        Image: 'busybox',
        HostConfig: { SecurityOpt: ['label=type:foo_t'], Ulimits: [] },
      })
      .is(201, { Warnings: ['SELinux labels are not implemented: the label has no effect.'] });
  });
});

describe('what the daemon says for containers that say nothing', () => {
  test('seccomp profile, no-new-privileges, ulimits, shared memory and init', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'hull-profile-'));
    const profile = path.join(directory, 'profile.json');
    writeFileSync(profile, NO_MKDIR);
    const flags = ['--seccomp-profile', profile, '--no-new-privileges', '--default-ulimit', 'nofile=100:200'];
    await using daemon = await startDaemon('hull', {
      flags: [...flags, '--default-shm-size', '1m', '--init'],
    });
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const { stdout, stderr } = await api.output(
      'grep NoNewPrivs: /proc/self/status; mkdir /tmp/x; ulimit -n; ulimit -Hn; df -k /dev/shm | tail -n 1; readlink /proc/1/exe',
    );
    assert.match(stderr, /Permission denied/);
    assert.match(stdout, /^NoNewPrivs:\t1\n100\n200\nshm +1024 [^\n]*\n/);
    const own = await api.output('mkdir /tmp/x && echo made', {
      HostConfig: { SecurityOpt: ['seccomp=builtin'] },
    });
    assert.equal(own.stdout, 'made\n');
    await api.get('/info').is(200, {
      SecurityOptions: (options) => JSON.stringify(options).includes(`name=seccomp,profile=${profile}`),
    });
    rmSync(directory, { recursive: true });
  });
  test('a profile that cannot be read keeps the daemon from starting', async () => {
    await assert.rejects(
      startDaemon('hull', { flags: ['--seccomp-profile', '/no/such'] }),
      /opening seccomp profile \(\/no\/such\) failed/,
    );
  });
});
