import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Query } from './query.ts';

test('Query.flag() reads booleans as Docker does', () => {
  const query = new Query('?a=1&b=0&c=False&d=no&e=none&f=&g=x&h&i=%20TRUE%20');
  const flags = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'missing'].map((key) => query.flag(key));
  assert.deepEqual(flags, [true, false, false, false, false, false, true, false, true, false]);
  assert.equal(query.flag('missing', true), true);
});

test('Query.integer() takes whole numbers and nothing else', () => {
  const query = new Query('?t=-1&u=&v=1.5&w=99999999999999999999');
  assert.equal(query.integer('t'), -1);
  assert.equal(query.integer('u'), undefined);
  assert.throws(() => query.integer('v'), { message: 'strconv.Atoi: parsing "1.5": invalid syntax' });
  assert.throws(() => query.integer('w'), /value out of range/);
});

test('Query keeps repeated keys in order and unescapes both sides', () => {
  const query = new Query('?names=a%3A1&names=b+c&na%6Des=d');
  assert.deepEqual(query.all('names'), ['a:1', 'b c', 'd']);
  assert.throws(() => new Query('?a=%zz'), { kind: 'invalid', message: 'invalid URL escape "%zz"' });
});
