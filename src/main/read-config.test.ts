import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { DaemonConfig } from './daemon-config.ts';
import { parseDaemonFlags } from './daemon-flags.ts';
import { readConfig } from './read-config.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hull-config-'));
const file = path.join(directory, 'daemon.json');
after(() => rmSync(directory, { recursive: true }));

function read(contents: unknown, ...argv: string[]): DaemonConfig {
  writeFileSync(file, typeof contents === 'string' ? contents : JSON.stringify(contents));
  return readConfig(parseDaemonFlags(['--config-file', file, ...argv]));
}

test('readConfig() has Docker’s defaults', () => {
  const config = read('');
  assert.equal(config.dataRoot, '/var/lib/hull');
  assert.deepEqual(config.hosts, ['unix:///run/hull/hull.sock']);
  assert.equal(config.liveRestore, true);
  assert.equal(config.container.logDriver, 'json-file');
  assert.equal(config.network.mtu, 1500);
  assert.deepEqual(config.withoutEffect, []);
});

test('readConfig() reads the storage limit, and refuses other storage options', () => {
  assert.equal(read('').container.storageSize, 0);
  for (const key of ['size', 'erofs.size', 'overlay2.size', 'overlay.size']) {
    assert.equal(read('', '--storage-opt', `${key}=1G`).container.storageSize, 2 ** 30, key);
  }
  assert.equal(read({ 'storage-opts': ['size=5m'] }).container.storageSize, 5 << 20);
  assert.throws(() => read('', '--storage-opt=dm.basesize=1G'), {
    message: 'erofs: unknown option dm.basesize',
  });
  assert.throws(() => read('', '--storage-opt=size=x'), { message: "invalid size: 'x'" });
});

test('readConfig() derives socket and pidfile from the exec root', () => {
  const config = read('', '--exec-root=/run/x');
  assert.deepEqual([config.hosts, config.pidfile], [['unix:///run/x/hull.sock'], '/run/x/hulld.pid']);
});

test('readConfig() reads pools, ulimits, log options and runtimes from flags', () => {
  const argv =
    '--default-address-pool base=10.9.0.0/16,size=24 --default-ulimit nofile=10:20 --log-opt max-size=1m';
  const config = read(
    '',
    ...argv.split(' '),
    '--add-runtime',
    'fast=/opt/crun',
    '-g',
    '/d',
    '-DH',
    'tcp://:1',
  );
  assert.deepEqual(config.network.defaultAddressPools, [{ base: '10.9.0.0/16', size: 24 }]);
  assert.deepEqual(config.container.ulimits, [{ name: 'nofile', soft: 10, hard: 20 }]);
  assert.deepEqual(config.container.logOptions, { 'max-size': '1m' });
  assert.deepEqual(config.runtimes, { fast: { path: '/opt/crun', args: [] } });
  assert.deepEqual([config.dataRoot, config.debug, config.hosts], ['/d', true, ['tcp://:1']]);
});

test('readConfig() reads the same from the file', () => {
  const config = read({
    'default-address-pools': [{ base: '10.9.0.0/16', size: 24 }],
    'default-ulimits': { nofile: { Name: 'nofile', Hard: 20, Soft: 10 } },
    'log-opts': { 'max-size': '1m' },
    runtimes: { fast: { path: '/opt/crun', runtimeArgs: ['--debug'] } },
    'live-restore': false,
    'default-shm-size': '1G',
    'userland-proxy': false,
  });
  assert.deepEqual(config.network.defaultAddressPools, [{ base: '10.9.0.0/16', size: 24 }]);
  assert.deepEqual(config.container.ulimits, [{ name: 'nofile', soft: 10, hard: 20 }]);
  assert.deepEqual(config.runtimes['fast'], { path: '/opt/crun', args: ['--debug'] });
  assert.equal(config.container.shmSize, 1024 ** 3);
  assert.equal(config.liveRestore, false);
  assert.deepEqual(config.withoutEffect, ['userland-proxy']);
});

test('readConfig() refuses what is both a flag and in the file, in the words of dockerd', () => {
  const prefix = `unable to configure the Docker daemon with file ${file}: the following directives`;
  assert.throws(() => read({ debug: true, hosts: ['unix:///x'] }, '-D', '-H', 'unix:///y'), {
    message: `${prefix} are specified both as a flag and in the configuration file: debug: (from flag: true, from file: true), hosts: (from flag: [unix:///y], from file: [unix:///x])`,
  });
  assert.throws(() => read({ foo: 1 }), {
    message: `${prefix} don't match any configuration option: foo`,
  });
});

test('readConfig() refuses a missing file only when it was named, and wrong types always', () => {
  const missing = path.join(directory, 'missing');
  assert.throws(() => readConfig(parseDaemonFlags(['--config-file', missing])), /no such file or directory/);
  assert.throws(
    () => read({ debug: 'yes' }),
    /cannot unmarshal string into Go struct field Config\.debug of type bool/,
  );
  assert.throws(() => read('{'), /unable to configure the Docker daemon/);
  assert.throws(() => read('', '-l', 'loud'), { message: 'invalid logging level: loud' });
});

test('readConfig() takes default namespace modes as dockerd does', () => {
  assert.equal(read('').container.ipcMode, 'private');
  assert.equal(read({ 'default-ipc-mode': 'shareable' }).container.ipcMode, 'shareable');
  assert.equal(read('', '--default-cgroupns-mode', 'host').container.cgroupnsMode, 'host');
  assert.throws(() => read('', '--default-ipc-mode', 'host'), {
    message: 'IPC mode "host" is not supported as default value; use "shareable" or "private"',
  });
  assert.throws(() => read('', '--default-ipc-mode', 'bogus'), {
    message: 'default IPC mode setting (bogus) is invalid; use "shareable" or "private"',
  });
  assert.throws(() => read('', '--default-cgroupns-mode', 'bogus'), {
    message: 'default cgroup namespace mode (bogus) is invalid; use "host" or "private"',
  });
});

test('readConfig() refuses wrong defaults for logs before there are containers to have them', () => {
  const cases: [string[], string][] = [
    [['--log-driver', 'nosuch'], "logger: no log driver named 'nosuch' is registered"],
    [['--log-opt', 'nosuch=1'], "unknown log opt 'nosuch' for json-file log driver"],
    [['--log-driver', 'syslog', '--log-opt', 'syslog-facility=x'], 'invalid syslog facility'],
  ];
  for (const [flags, words] of cases) {
    assert.throws(() => read('', ...flags), { message: `failed to set log opts: ${words}` });
  }
  assert.equal(read('', '--log-driver', 'none').container.logDriver, 'none');
});

test('readConfig() takes the cgroup driver from the runtime options, and says which others do nothing', () => {
  const driver = (option: string): string | undefined =>
    read('', '--exec-opt', option).container.cgroupDriver;
  assert.equal(read('').container.cgroupDriver, undefined);
  assert.equal(driver('native.cgroupdriver=systemd'), 'systemd');
  assert.equal(read({ 'exec-opts': ['Native.CgroupDriver=cgroupfs'] }).container.cgroupDriver, 'cgroupfs');
  assert.throws(() => driver('native.cgroupdriver=none'), {
    message: 'native.cgroupdriver option none not supported',
  });
  assert.deepEqual(read('', '--exec-opt', 'isolation=process').withoutEffect, ['exec-opt isolation']);
});

test('parseDaemonFlags() takes what dockerd has and refuses the rest', () => {
  assert.deepEqual(read('', '--ip6tables=false', '--containerd', '/x').withoutEffect, [
    'containerd',
    'ip6tables',
  ]);
  assert.throws(() => parseDaemonFlags(['--nonsense']), { message: 'unknown flag: --nonsense' });
  assert.throws(() => parseDaemonFlags(['-q']), { message: "unknown shorthand flag: 'q' in -q" });
});

test('readConfig() verifies clients unless that is declined, and takes any word about it for TLS', () => {
  const verdict = (file: unknown, ...argv: string[]): unknown[] => {
    const { tls, tlsSaid } = read(file, ...argv);
    return [tls?.verify, tlsSaid];
  };
  assert.deepEqual(verdict(''), [undefined, false]);
  assert.deepEqual(verdict('', '--tls'), [true, true]);
  assert.deepEqual(verdict('', '--tls=false'), [undefined, true]);
  assert.deepEqual(verdict('', '--tlsverify'), [true, true]);
  assert.deepEqual(verdict('', '--tlsverify=false'), [false, true]);
  assert.deepEqual(verdict({ tls: true, tlsverify: false }), [false, true]);
  const { tls } = read({ tlsverify: true, tlscacert: '/a', tlscert: '/b', tlskey: '/c' });
  assert.deepEqual(tls, { verify: true, authority: '/a', certificate: '/b', key: '/c' });
});
