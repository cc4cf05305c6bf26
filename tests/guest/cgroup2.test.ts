import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { runGuest, type GuestRun } from './guest.ts';

/** Limits, stats and isolation where cgroups are version 2, on the kernel that most users have; see run-checks. */
const GUESTS: Record<string, GuestRun> = {
  'cgroup v2 under a plain init': {
    init: '/hull/tests/guest/plain-init',
    checks: ['tests/guest/inside/cgroup2.ts'],
  },
  'cgroup v2 under systemd': { init: '/sbin/init', checks: ['tests/guest/inside/systemd.ts'] },
};

describe('in a guest', { concurrency: true }, () => {
  for (const [name, run] of Object.entries(GUESTS)) {
    test(name, async (context) => {
      const { outcomes, ended, console } = await runGuest(run);
      for (const { name: check, ms, error } of outcomes) {
        await context.test(`${check} (${ms} ms)`, () => {
          if (error !== undefined) assert.fail(error);
        });
      }
      assert.ok(ended, `the guest did not come to the end of its checks:\n${console}`);
      assert.ok(outcomes.length > 0, 'no check has run');
    });
  }
});
