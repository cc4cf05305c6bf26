import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onUnhealthy } from './on-unhealthy.ts';

test('onUnhealthy() does nothing unless a label asks for it, and refuses what it cannot do', () => {
  assert.equal(onUnhealthy(undefined), 'none');
  assert.equal(onUnhealthy({ other: 'x' }), 'none');
  assert.equal(onUnhealthy({ 'hull.on-unhealthy': 'restart' }), 'restart');
  assert.equal(onUnhealthy({ 'hull.on-unhealthy': 'stop' }), 'stop');
  assert.throws(() => onUnhealthy({ 'hull.on-unhealthy': 'explode' }), {
    kind: 'invalid',
    message: 'invalid label hull.on-unhealthy="explode": use "restart", "stop" or "none"',
  });
});
