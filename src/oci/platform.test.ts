import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform, platformRank } from './platform.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };

test('parsePlatform() brings every way of writing to one form', () => {
  const cases: [string, string][] = [
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['Linux/AArch64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux', 'linux/amd64'],
    ['arm64', 'linux/arm64'],
    ['windows', 'windows/amd64'],
  ];
  for (const [text, normal] of cases) assert.equal(formatPlatform(parsePlatform(text, AMD64)), normal);
});

test('parsePlatform() refuses what is none', () => {
  for (const text of ['', 'linux/', 'a/b/c/d', 'linux/a b', '/x', 'pdp11', 'constructor']) {
    assert.throws(() => parsePlatform(text, AMD64), /invalid argument/);
  }
});

test('platformRank() prefers the nearest variant and knows what does not run', () => {
  assert.equal(platformRank(AMD64, { os: 'linux', architecture: 'x86_64' }), 0);
  assert.equal(platformRank(AMD64, { os: 'linux', architecture: '386' }), 1);
  assert.equal(platformRank(AMD64, { os: 'linux', architecture: 'arm64' }), undefined);
  assert.equal(platformRank(AMD64, { os: 'windows', architecture: 'amd64' }), undefined);
  const arm = { os: 'linux', architecture: 'arm64' };
  assert.equal(platformRank(arm, { os: 'linux', architecture: 'arm64', variant: 'v8' }), 0);
  assert.equal(platformRank(arm, { os: 'linux', architecture: 'arm', variant: 'v7' }), 2);
  assert.equal(platformRank(hostPlatform(), hostPlatform()), 0);
});

test('normalizePlatform() is done after one time', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('linux', 'LINUX', 'windows', 'macos'),
      fc.constantFrom('x86_64', 'amd64', 'arm', 'armel', 'arm64', 'i386', 's390x'),
      fc.option(fc.constantFrom('v8', '7', 'v1', 'v3', ''), { nil: undefined }),
      (os, architecture, variant) => {
        const once = normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) });
        assert.deepEqual(normalizePlatform(once), once);
      },
    ),
  );
});
