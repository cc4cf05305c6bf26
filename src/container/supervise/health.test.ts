import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newHealth, nextDelayMs, nextHealth } from './health.ts';
import { probeCommand } from './probe.ts';
import type { HealthResult } from '../record.ts';

const result = (ExitCode: number, Output = ''): HealthResult => ({ Start: '', End: '', ExitCode, Output });

test('nextHealth() is unhealthy after three failures in a row and healthy after one success', () => {
  const fails = [1, 1, 1].reduce((health, code) => nextHealth(health, {}, result(code), 1000), newHealth());
  assert.deepEqual([fails.status, fails.failingStreak, fails.log.length], ['unhealthy', 3, 3]);
  assert.equal(nextHealth(newHealth(), {}, result(1), 1000).status, 'starting');
  const healed = nextHealth(fails, {}, result(0), 1000);
  assert.deepEqual([healed.status, healed.failingStreak], ['healthy', 0]);
  assert.equal(nextHealth(healed, { Retries: 1 }, result(-1), 1000).status, 'unhealthy');
});

test('nextHealth() forgives failures in the start period until the first success', () => {
  const check = { StartPeriod: 10e9, Retries: 1 };
  assert.equal(nextHealth(newHealth(), check, result(1), 9999).failingStreak, 0);
  assert.equal(nextHealth(newHealth(), check, result(1), 10_000).status, 'unhealthy');
  const healthy = nextHealth(newHealth(), check, result(0), 100);
  assert.equal(nextHealth(healthy, check, result(1), 200).status, 'unhealthy');
});

test('nextHealth() keeps the last five results', () => {
  let health = newHealth();
  for (const text of 'abcdefg') health = nextHealth(health, {}, result(0, text), 0);
  assert.equal(health.log.map(({ Output }) => Output).join(''), 'cdefg');
});

test('nextDelayMs() is short within the start period', () => {
  const check = { StartPeriod: 10e9, Interval: 60e9 };
  assert.equal(nextDelayMs(newHealth(), check, 0), 5000);
  assert.equal(nextDelayMs(newHealth(), { ...check, StartInterval: 1e9 }, 0), 1000);
  assert.equal(nextDelayMs(newHealth(), check, 10_000), 60_000);
  assert.equal(nextDelayMs(newHealth(), {}, 0), 30_000);
});

test('probeCommand() knows CMD and CMD-SHELL with its shell', () => {
  assert.deepEqual(probeCommand({ Test: ['CMD', 'a', 'b'] }, []), ['a', 'b']);
  assert.deepEqual(probeCommand({ Test: ['CMD-SHELL', 'a | b'] }, null), ['/bin/sh', '-c', 'a | b']);
  assert.deepEqual(probeCommand({ Test: ['CMD-SHELL', 'a'] }, ['/bin/ash', '-ec']), ['/bin/ash', '-ec', 'a']);
  for (const Test of [undefined, [], ['NONE'], ['CMD'], ['OTHER', 'x']])
    assert.equal(probeCommand({ Test }, []), undefined);
});
