import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processLimits } from './process-limits.ts';

const FREE = { hardLimits: {}, oomScoreAdj: 0, canLowerOomScore: true };
const BOUND = { hardLimits: { RLIMIT_NOFILE: 1000 }, oomScoreAdj: 0, canLowerOomScore: false };

test("processLimits() gives the daemon's defaults where the container names none of its own", () => {
  const defaults = [
    { type: 'RLIMIT_NOFILE', soft: 1, hard: 2 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
  ];
  const { rlimits } = processLimits({ Ulimits: [{ Name: 'nofile', Soft: 5, Hard: 6 }] }, defaults, FREE);
  assert.deepEqual(rlimits, [
    { type: 'RLIMIT_NOFILE', soft: 5, hard: 6 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
  ]);
});

test('processLimits() lowers what the engine cannot give, and says so of what was asked for', () => {
  const ulimits = [{ Name: 'nofile', Soft: -1, Hard: -1 }];
  const { rlimits, warnings } = processLimits({ Ulimits: ulimits }, [], BOUND);
  assert.deepEqual(rlimits, [{ type: 'RLIMIT_NOFILE', soft: 1000, hard: 1000 }]);
  assert.match(warnings.join(), /hard limit for nofile is 1000/);
  const inherited = processLimits({}, [{ type: 'RLIMIT_NOFILE', soft: 5000, hard: 5000 }], BOUND);
  assert.deepEqual(inherited, { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1000, hard: 1000 }], warnings: [] });
});

test('processLimits() leaves the OOM score alone where it may not be lowered', () => {
  assert.equal(processLimits({ OomScoreAdj: 500 }, [], BOUND).oomScoreAdj, 500);
  assert.equal(processLimits({ OomScoreAdj: -500 }, [], FREE).oomScoreAdj, -500);
  const { oomScoreAdj, warnings } = processLimits({ OomScoreAdj: -500 }, [], BOUND);
  assert.equal(oomScoreAdj, undefined);
  assert.match(warnings.join(), /-500 has no effect/);
});
