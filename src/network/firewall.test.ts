import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableText } from './firewall.ts';
import { instanceName } from './network-options.ts';

const bridge = { bridge: 'hull0', subnet: '172.17.0.0/16', icc: true, masquerade: true };

test('tableText() drops what comes to a bridge unasked, after all that may', () => {
  const text = tableText('hull', [bridge]);
  const rules = text.split('\n').filter((line) => line.includes('oifname "hull0"'));
  assert.deepEqual(rules, [
    'oifname "hull0" ct state established,related accept',
    'oifname "hull0" ct status dnat accept',
    'iifname "hvm*" oifname "hull0" accept',
    'iifname "hull0" oifname "hull0" accept',
    'oifname "hull0" drop',
    'ip saddr 172.17.0.0/16 oifname "hull0" ct status dnat masquerade',
    'ip saddr 127.0.0.0/8 oifname "hull0" masquerade',
  ]);
  assert.match(text, /ip saddr 172\.17\.0\.0\/16 oifname != "hull0" oifname != "hvm\*" masquerade/);
});

test('tableText() leaves out what --icc=false and --ip-masq=false forbid', () => {
  const text = tableText('hull', [{ ...bridge, icc: false, masquerade: false }]);
  assert.doesNotMatch(text, /iifname "hull0" oifname "hull0" accept/);
  assert.doesNotMatch(text, /" masquerade\nip saddr 172\.17\.0\.0\/16 oifname !=/);
});

test('instanceName() is short, and its own for every data root', () => {
  assert.equal(instanceName('/var/lib/hull'), 'hull');
  const names = ['/a', '/b'].map(instanceName);
  assert.notEqual(names[0], names[1]);
  // With the bridge's number it must fit the kernel's 15 characters.
  for (const name of names) assert.match(name, /^hull[\da-f]{8}$/);
});
