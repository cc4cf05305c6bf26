import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiVersion } from '../version.ts';
import { adaptInfo } from './system-info.ts';

const INFO = {
  RuncCommit: { ID: 'abc' },
  RegistryConfig: { Mirrors: [] },
  FirewallBackend: { Driver: 'nftables' },
};

test('adaptInfo() gives each version the fields that it had', () => {
  assert.deepEqual(adaptInfo(INFO, new ApiVersion()), INFO);
  const keys = (version: string): string[] =>
    Object.keys(adaptInfo(INFO, new ApiVersion(version))).toSorted();
  assert.ok(!keys('1.52').includes('KernelMemoryTCP'));
  assert.ok(keys('1.51').includes('KernelMemoryTCP'));
  assert.ok(!keys('1.50').includes('BridgeNfIptables'));
  assert.ok(keys('1.49').includes('BridgeNfIptables'));
  assert.ok(keys('1.49').includes('FirewallBackend'));
  assert.ok(!keys('1.48').includes('FirewallBackend'));
  const old = adaptInfo(INFO, new ApiVersion('1.41')) as Record<string, Record<string, unknown>>;
  assert.deepEqual(old['RuncCommit'], { ID: 'abc', Expected: 'abc' });
  assert.equal(old['RegistryConfig']?.['AllowNondistributableArtifactsCIDRs'], null);
  assert.equal(old['KernelMemory'], false);
});
