import assert from 'node:assert/strict';
import { test } from 'node:test';
import { infoWarnings, type WarningFacts } from './info-warnings.ts';

const ALL_THERE: WarningFacts = {
  support: {
    memory: true,
    swap: true,
    oomKillDisable: true,
    cpuQuota: true,
    cpuShares: true,
    cpuset: true,
    pids: true,
  },
  cgroupVersion: 1,
  ipForward: true,
  config: { hosts: ['unix:///run/x.sock'] },
};
const TLS = { verify: false, certificate: 'c', key: 'k' };

test('infoWarnings() names what the kernel lacks in the words of dockerd', () => {
  assert.deepEqual(infoWarnings(ALL_THERE), []);
  const support = { ...ALL_THERE.support, swap: false, cpuQuota: false, oomKillDisable: false };
  assert.deepEqual(infoWarnings({ ...ALL_THERE, support, ipForward: false }), [
    'WARNING: No swap limit support',
    'WARNING: No oom kill disable support',
    'WARNING: No cpu cfs quota support',
    'WARNING: No cpu cfs period support',
    'WARNING: IPv4 forwarding is disabled',
  ]);
  // On v2 it is not missing, it does not exist.
  assert.deepEqual(
    infoWarnings({
      ...ALL_THERE,
      support: { ...ALL_THERE.support, oomKillDisable: false },
      cgroupVersion: 2,
    }),
    [],
  );
});

test('infoWarnings() tells of ports at which everyone is root', () => {
  const hosts = ['unix:///run/x.sock', 'tcp://127.0.0.1:2375'];
  const first = (config: WarningFacts['config']): string[] =>
    infoWarnings({ ...ALL_THERE, config }).map((text) => text.split('\n')[0] ?? '');
  assert.deepEqual(first({ hosts }), [
    'WARNING: API is accessible on http://127.0.0.1:2375 without encryption.',
  ]);
  assert.deepEqual(first({ hosts, tls: TLS }), [
    'WARNING: API is accessible on https://127.0.0.1:2375 without TLS client verification.',
  ]);
  assert.deepEqual(first({ hosts, tls: { ...TLS, verify: true } }), []);
});
