import assert from 'node:assert/strict';
import { test } from 'node:test';

import { clampRlimits, defaultSpec } from './default-spec.ts';

test('defaultSpec() hides and protects what Docker does, unless privileged', () => {
  const plain = defaultSpec({ cgroupVersion: 2 });
  assert.ok(plain.linux.maskedPaths?.includes('/proc/kcore'));
  assert.ok(plain.linux.namespaces.some(({ type }) => type === 'cgroup'));
  assert.deepEqual(plain.mounts.find(({ destination }) => destination === '/sys')?.options?.at(-1), 'ro');
  assert.deepEqual(plain.linux.resources?.devices?.[0], { allow: false, access: 'rwm' });
  const privileged = defaultSpec({ cgroupVersion: 1, privileged: true, shm: false });
  assert.equal(privileged.linux.maskedPaths, undefined);
  assert.deepEqual(privileged.linux.resources?.devices, [{ allow: true, access: 'rwm' }]);
  assert.ok(!privileged.mounts.some(({ destination }) => destination === '/dev/shm'));
  assert.ok(!privileged.linux.namespaces.some(({ type }) => type === 'cgroup'));
});

test("clampRlimits() lowers what is above the host's hard limits and says so", () => {
  const { rlimits, warnings } = clampRlimits(
    [
      { type: 'RLIMIT_NOFILE', soft: 1024, hard: 1_048_576 },
      { type: 'RLIMIT_NPROC', soft: 10, hard: 20 },
      { type: 'RLIMIT_CORE', soft: 5, hard: 5 },
    ],
    { RLIMIT_NOFILE: 524_288, RLIMIT_NPROC: 15 },
  );
  assert.deepEqual(rlimits, [
    { type: 'RLIMIT_NOFILE', soft: 1024, hard: 524_288 },
    { type: 'RLIMIT_NPROC', soft: 10, hard: 15 },
    { type: 'RLIMIT_CORE', soft: 5, hard: 5 },
  ]);
  assert.match(warnings[0] ?? '', /hard limit for nofile is 524288/);
  assert.equal(warnings.length, 2);
});
