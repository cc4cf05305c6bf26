import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupPlace } from './cgroup-driver.ts';

test('cgroupPlace() leaves cgroups v2 to systemd where it runs, and does what it is told', () => {
  const place = (asked: Parameters<typeof cgroupPlace>[0], version: 1 | 2, systemd: boolean): string => {
    const { driver, parent } = cgroupPlace(asked, { version, systemd }, 'hull1');
    return `${driver} ${parent}`;
  };
  assert.equal(place({}, 2, true), 'systemd system.slice');
  assert.equal(place({}, 2, false), 'cgroupfs /hull1');
  assert.equal(place({}, 1, true), 'cgroupfs /hull1');
  assert.equal(place({ cgroupDriver: 'systemd', cgroupParent: 'a.slice' }, 1, true), 'systemd a.slice');
  assert.equal(place({ cgroupDriver: 'cgroupfs', cgroupParent: '/mine' }, 2, true), 'cgroupfs /mine');
  assert.throws(() => place({ cgroupDriver: 'systemd' }, 2, false), { kind: 'unavailable' });
  assert.throws(() => place({ cgroupParent: '/mine' }, 2, true), { kind: 'invalid', message: /valid slice/ });
});
