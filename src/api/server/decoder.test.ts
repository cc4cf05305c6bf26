import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EngineError } from '#/base/errors.ts';
import { decodeBody } from './decoder.ts';

const create = (value: unknown): object => decodeBody('ContainerCreateBody', JSON.stringify(value));

test('decodeBody() ignores unknown fields, drops null and folds case', () => {
  const body = { image: 'a', CMD: ['x'], Labels: null, Nonsense: { a: 1 }, hostconfig: { nanocpus: 5 } };
  assert.deepEqual(create(body), { Image: 'a', Cmd: ['x'], HostConfig: { NanoCpus: 5 } });
});

test('decodeBody() takes one string for a command', () => {
  assert.deepEqual(create({ Cmd: 'sh', Entrypoint: ['a'] }), { Cmd: ['sh'], Entrypoint: ['a'] });
});

test('decodeBody() keeps map entries that are null, and map keys as they are', () => {
  const HostConfig = { PortBindings: { '80/tcp': null }, Tmpfs: { '/Run': '' } };
  assert.deepEqual(create({ HostConfig }), { HostConfig });
});

for (const [body, message] of [
  [{ Image: 5 }, 'cannot unmarshal number into Go struct field ContainerCreateBody.Image of type string'],
  [{ Env: 'a' }, 'cannot unmarshal string into Go struct field ContainerCreateBody.Env of type []string'],
  [
    { HostConfig: { Memory: '1g' } },
    'cannot unmarshal string into Go struct field HostConfig.HostConfig.Memory of type int64',
  ],
  [
    { HostConfig: { Memory: 1.5 } },
    'cannot unmarshal number 1.5 into Go struct field HostConfig.HostConfig.Memory of type int64',
  ],
  [
    { HostConfig: [] },
    'cannot unmarshal array into Go struct field ContainerCreateBody.HostConfig of type container.HostConfig',
  ],
  [[], 'cannot unmarshal array into Go value of type ContainerCreateBody'],
] as const) {
  test(`decodeBody() refuses ${JSON.stringify(body)}`, () => {
    assert.throws(() => create(body), { kind: 'invalid', message: `invalid JSON: json: ${message}` });
  });
}

test('decodeBody() refuses what is no JSON in the words of Go', () => {
  const refuse = (text: string, message: string): void =>
    assert.throws(() => decodeBody('ExecConfig', text), { kind: 'invalid', message });
  refuse('', 'invalid JSON: got EOF while reading request body');
  refuse('{"a":', 'invalid JSON: unexpected EOF');
  refuse('hello', "invalid JSON: invalid character 'h' looking for beginning of value");
  refuse('{} x', 'unexpected content after JSON');
});

test('decodeBody() never fails but with an invalid error, and pollutes no prototype', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      try {
        decodeBody('ContainerCreateBody', text);
      } catch (error) {
        assert.ok(error instanceof EngineError && error.kind === 'invalid');
      }
    }),
  );
  const body = '{"Labels":{"__proto__":"x"},"__proto__":{"Image":"a"}}';
  const decoded = decodeBody('ContainerCreateBody', body) as { Image?: string };
  assert.equal(decoded.Image, undefined);
  assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
});
