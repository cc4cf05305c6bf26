import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Resources } from '#/wire/generated.ts';
import { checkResources, runtimeResources } from './resources.ts';

const host = { cpus: 2, swapLimit: true };

test('runtimeResources() turns CPUs into a quota and gives as much swap as memory', () => {
  assert.deepEqual(runtimeResources({ NanoCpus: 1.5e9, Memory: 64 << 20, PidsLimit: 5 }), {
    memory: { limit: 64 << 20, swap: 128 << 20 },
    cpu: { period: 100_000, quota: 150_000 },
    pids: { limit: 5 },
  });
  assert.deepEqual(runtimeResources({}), {});
});

test("checkResources() refuses limits that cannot be, in Docker's words", () => {
  const refused = (resources: Parameters<typeof checkResources>[0], message: string): void =>
    assert.throws(() => checkResources(resources, host), { kind: 'invalid', message });
  refused({ Memory: 4 << 20 }, 'Minimum memory limit allowed is 6MB');
  refused(
    { Memory: 8 << 20, MemorySwap: 7 << 20 },
    'Minimum memoryswap limit should be larger than memory limit, see usage',
  );
  refused(
    { MemorySwap: 8 << 20 },
    'You should always set the Memory limit when using Memoryswap limit, see usage',
  );
  refused({ NanoCpus: 3e9 }, 'range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available');
  refused(
    { NanoCpus: 1, CpuQuota: 5000 },
    'Conflicting options: Nano CPUs and CPU Quota cannot both be set.',
  );
  refused({ CpusetCpus: '0-5' }, 'Requested CPUs are not available - requested 0-5, available: 0-1');
  refused({ CpusetCpus: 'x' }, 'Invalid value x for cpuset.cpus');
});

test('checkResources() says what the host cannot do', () => {
  const { resources, warnings } = checkResources<Resources>(
    { Memory: 64 << 20 },
    { cpus: 2, swapLimit: false },
  );
  assert.equal(resources.MemorySwap, -1);
  assert.equal(warnings.length, 1);
});
