import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointWarnings, INTERFACE_NAME, interfaceNameOf } from './endpoint-options.ts';

test('interfaceNameOf() takes what the kernel takes', () => {
  const of = (name: string): string | undefined =>
    interfaceNameOf({ DriverOpts: { [INTERFACE_NAME]: name } });
  assert.equal(of('lan0'), 'lan0');
  assert.equal(interfaceNameOf({}), undefined);
  for (const name of ['a/b', 'a b', '..', 'lo', 'x'.repeat(16), 'a:1'])
    assert.throws(() => of(name), { kind: 'invalid' }, name);
});

test('endpointWarnings() names what does nothing', () => {
  assert.deepEqual(endpointWarnings({ DriverOpts: { [INTERFACE_NAME]: 'lan0' } }), []);
  assert.deepEqual(endpointWarnings({ DriverOpts: { x: 'y' }, Links: ['db'] }), [
    'The endpoint option "x" has no effect.',
    'Links of an endpoint have no effect on the default bridge.',
  ]);
});
