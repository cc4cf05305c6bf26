import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  capabilitiesOfMask,
  capabilitySet,
  DEFAULT_CAPABILITIES,
  processCapabilities,
} from './capabilities.ts';

test("capabilitySet() follows Docker's rules", () => {
  assert.deepEqual(capabilitySet({}), DEFAULT_CAPABILITIES);
  assert.equal(DEFAULT_CAPABILITIES.length, 14);
  assert.deepEqual(capabilitySet({ add: ['sys_admin', 'CAP_CHOWN'], drop: ['kill'] }), [
    ...DEFAULT_CAPABILITIES.filter((name) => name !== 'CAP_KILL'),
    'CAP_SYS_ADMIN',
  ]);
  assert.deepEqual(capabilitySet({ add: ['NET_ADMIN'], drop: ['all'] }), ['CAP_NET_ADMIN']);
  assert.deepEqual(capabilitySet({ drop: ['ALL'] }), []);
  const all = capabilitySet({ add: ['ALL'], drop: ['SYS_ADMIN'] });
  assert.equal(all.length, 40);
  assert.ok(!all.includes('CAP_SYS_ADMIN'));
  assert.equal(capabilitySet({ privileged: true }).length, 41);
});

test('capabilitySet() gives no more than the host has', () => {
  const available = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SYS_TIME'];
  assert.deepEqual(capabilitySet({ available }), ['CAP_CHOWN', 'CAP_KILL']);
  assert.deepEqual(capabilitySet({ available, privileged: true }), available);
  assert.throws(() => capabilitySet({ available, add: ['SYS_ADMIN'] }), {
    kind: 'invalid',
    message:
      'invalid CapAdd: capability not supported by your kernel or not available in the current environment: "CAP_SYS_ADMIN"',
  });
  assert.throws(() => capabilitySet({ drop: ['cheese'] }), {
    message: 'invalid CapDrop: unknown capability: "CAP_CHEESE"',
  });
});

test('capabilitiesOfMask() names the bits', () => {
  assert.deepEqual(capabilitiesOfMask('0000000000000021'), ['CAP_CHOWN', 'CAP_KILL']);
  assert.equal(capabilitiesOfMask('000001ffffffffff').length, 41);
});

test('processCapabilities() leaves other users than root the bounding set only', () => {
  assert.deepEqual(processCapabilities(['CAP_CHOWN'], 1000), { bounding: ['CAP_CHOWN'] });
  assert.deepEqual(processCapabilities(['CAP_CHOWN'], 0).effective, ['CAP_CHOWN']);
});
