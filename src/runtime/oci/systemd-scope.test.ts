import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupPathOf, isSystemdScope } from './systemd-scope.ts';

test('cgroupPathOf() finds the scopes that systemd makes, in slices within slices', () => {
  const cases: [given: string, subgroup: boolean, path: string, scope: boolean][] = [
    ['/hull/ab12', true, '/hull/ab12', false],
    ['/odd:name:here', true, '/odd:name:here', false],
    ['system.slice:hull:ab12', false, '/system.slice/hull-ab12.scope', true],
    ['system.slice:hull:ab12', true, '/system.slice/hull-ab12.scope/container', true],
    ['a-b-c.slice:hull:x', false, '/a.slice/a-b.slice/a-b-c.slice/hull-x.scope', true],
  ];
  for (const [given, subgroup, path, scope] of cases) {
    assert.equal(cgroupPathOf(given, subgroup), path);
    assert.equal(isSystemdScope(given), scope);
  }
});
