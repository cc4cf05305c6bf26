import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchCapabilities } from './device-requests.ts';
import { containerDevices, wantedDevices } from './devices.ts';

test('containerDevices() reads device rules as the kernel writes them', () => {
  const { rules } = containerDevices([], { DeviceCgroupRules: ['c 1:* rwm', 'b *:3 r', 'a *:* rw'] });
  assert.deepEqual(rules, [
    { allow: true, type: 'c', major: 1, access: 'rwm' },
    { allow: true, type: 'b', minor: 3, access: 'r' },
    { allow: true, type: 'a', access: 'rw' },
  ]);
  for (const rule of ['foo', 'c 1:1', 'x 1:1 rwm', 'c 1:1 rwmx', 'c -1:1 r', ' c 1:1 r']) {
    assert.throws(() => containerDevices([], { DeviceCgroupRules: [rule] }), {
      message: `invalid device cgroup rule format: '${rule}'`,
    });
  }
});

test('wantedDevices() finds a device, a directory of them, and links to either', () => {
  const [device] = wantedDevices({ Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/x' }] });
  assert.equal(device?.path, '/dev/x');
  assert.equal(device?.access, 'rwm');
  const fd = wantedDevices({ Devices: [{ PathOnHost: '/dev/net', PathInContainer: '/dev/n' }] });
  assert.ok(fd.every(({ path }) => path.startsWith('/dev/n/')));
});

test("wantedDevices() says in Docker's words what is no device", () => {
  const refused = (source: string, why: string, access = 'rwm'): void =>
    assert.throws(() => wantedDevices({ Devices: [{ PathOnHost: source, CgroupPermissions: access }] }), {
      message: `error gathering device information while adding custom device "${source}": ${why}`,
    });
  refused('/dev/no-such', 'no such file or directory');
  refused(`/dev/${'a'.repeat(10_000)}`, 'file name too long');
  refused('/dev/nu\0ll', 'invalid argument');
  refused('/etc/hostname', 'not a device node');
  refused('/proc/self/fdinfo', 'not a device node');
  refused('/dev/null', 'invalid access "zz": it is of the letters r, w and m', 'zz');
});

test('wantedDevices() gives a privileged container every device once', () => {
  const paths = wantedDevices({
    Privileged: true,
    Devices: [{ PathOnHost: '/dev/null' }, { PathOnHost: '/dev/zero', PathInContainer: '/dev/nought' }],
  }).map(({ path }) => path);
  assert.equal(paths.filter((path) => path === '/dev/null').length, 1);
  assert.ok(paths.includes('/dev/nought'));
});

test('matchCapabilities() takes the first alternative that can be had whole', () => {
  assert.deepEqual(
    matchCapabilities(
      [
        ['gpu', 'x'],
        ['gpu', 'video'],
      ],
      ['gpu', 'video'],
    ),
    ['gpu', 'video'],
  );
  assert.equal(matchCapabilities([['tpu']], ['gpu']), undefined);
  assert.equal(matchCapabilities([], ['gpu']), undefined);
});
