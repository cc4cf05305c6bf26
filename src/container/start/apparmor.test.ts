import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APPARMOR_PROFILE, apparmorProfileText } from '#/oci/apparmor-profile.ts';
import { apparmorOf } from './spec.ts';

const HOST = {
  cgroupVersion: 2,
  architecture: 'x64',
  kernel: '6.1.0',
  capabilities: [],
  hardLimits: {},
  oomScoreAdj: 0,
  canLowerOomScore: true,
  apparmorProfile: APPARMOR_PROFILE,
} as const;

test('apparmorOf() confines by default, and as asked, where the host has AppArmor', () => {
  assert.equal(apparmorOf({}, HOST), 'hull-default');
  assert.equal(apparmorOf({ Privileged: true }, HOST), 'unconfined');
  assert.equal(apparmorOf({ Privileged: true, SecurityOpt: ['apparmor=mine'] }, HOST), 'mine');
  assert.equal(apparmorOf({ SecurityOpt: ['apparmor:docker-default'] }, HOST), 'hull-default');
  assert.equal(apparmorOf({}, { ...HOST, apparmorProfile: undefined }), undefined);
});

test('apparmorProfileText() lets processes signal and trace their like alone, and mount nothing', () => {
  const text = apparmorProfileText();
  for (const rule of ['deny mount,', 'deny network alg,', 'signal (send,receive) peer=hull-default,'])
    assert.ok(text.includes(rule), rule);
  assert.ok(!/peer=(?!hull-default|unconfined|runc|crun)/.test(text));
});
