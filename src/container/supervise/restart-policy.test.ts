import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideRestart, startsWithEngine } from './restart-policy.ts';

const exit = { code: 1, ranMs: 50, restarts: 0, stoppedByUser: false, lastDelayMs: 0 };

test('decideRestart() follows the policy', () => {
  assert.equal(decideRestart({ Name: 'no' }, exit), undefined);
  assert.equal(decideRestart(undefined, exit), undefined);
  assert.deepEqual(decideRestart({ Name: 'always' }, { ...exit, code: 0 }), { delayMs: 100 });
  assert.equal(decideRestart({ Name: 'always' }, { ...exit, stoppedByUser: true }), undefined);
  assert.equal(decideRestart({ Name: 'on-failure' }, { ...exit, code: 0 }), undefined);
  assert.equal(
    decideRestart({ Name: 'on-failure', MaximumRetryCount: 2 }, { ...exit, restarts: 2 }),
    undefined,
  );
});

test('decideRestart() doubles the delay up to a minute and forgets it after ten steady seconds', () => {
  assert.deepEqual(decideRestart({ Name: 'always' }, { ...exit, lastDelayMs: 400 }), { delayMs: 800 });
  assert.deepEqual(decideRestart({ Name: 'always' }, { ...exit, lastDelayMs: 50_000 }), { delayMs: 60_000 });
  assert.deepEqual(decideRestart({ Name: 'always' }, { ...exit, lastDelayMs: 800, ranMs: 10_000 }), {
    delayMs: 100,
  });
});

test('startsWithEngine() follows the policy after a reboot', () => {
  const state = { startedBefore: true, exitCode: 255, restarts: 0, stoppedByUser: false };
  const stopped = { ...state, stoppedByUser: true };
  assert.equal(startsWithEngine({ Name: 'always' }, stopped), true);
  assert.equal(startsWithEngine({ Name: 'always' }, { ...state, startedBefore: false }), false);
  assert.equal(startsWithEngine({ Name: 'unless-stopped' }, state), true);
  assert.equal(startsWithEngine({ Name: 'unless-stopped' }, stopped), false);
  assert.equal(startsWithEngine({ Name: 'on-failure' }, state), true);
  assert.equal(startsWithEngine({ Name: 'on-failure' }, { ...state, exitCode: 0 }), false);
  assert.equal(startsWithEngine({ Name: 'on-failure' }, stopped), false);
  assert.equal(
    startsWithEngine({ Name: 'on-failure', MaximumRetryCount: 2 }, { ...state, restarts: 2 }),
    false,
  );
  assert.equal(startsWithEngine({ Name: 'no' }, state), false);
  assert.equal(startsWithEngine(undefined, state), false);
});
