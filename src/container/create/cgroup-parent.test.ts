import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupsPathOf, checkCgroupParent } from './cgroup-parent.ts';

test('cgroupsPathOf() gives each driver its form', () => {
  assert.equal(cgroupsPathOf('ab', '/hull', 'cgroupfs'), '/hull/ab');
  assert.equal(cgroupsPathOf('ab', 'mine', 'cgroupfs'), '/mine/ab');
  assert.equal(cgroupsPathOf('ab', 'system.slice', 'systemd'), 'system.slice:hull:ab');
});

test('checkCgroupParent() wants slices for systemd', () => {
  for (const parent of ['/hull', '.slice', 'a/b.slice', 'machine']) {
    assert.throws(() => checkCgroupParent(parent, 'systemd'), {
      kind: 'invalid',
      message: 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"',
    });
    checkCgroupParent(parent, 'cgroupfs');
  }
  checkCgroupParent('machine.slice', 'systemd');
  checkCgroupParent('', 'systemd');
});
