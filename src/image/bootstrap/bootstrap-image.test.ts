import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testImages } from '../test-images.ts';

test('bootstrap refuses what it cannot make from packages', async (t) => {
  const { images } = await testImages(t);
  const cases: [string, string | undefined, RegExp][] = [
    ['nginx', undefined, /Hull makes "debian:<suite>" and "busybox" from packages/],
    ['example.org/debian:bookworm', undefined, /Cannot bootstrap "example.org\/debian"/],
    ['debian:12.1', undefined, /Cannot bootstrap Debian "12.1": want a suite/],
    ['debian:bookworm', '--setup-hook=touch /pwned', /it is no URI/],
    ['Debian', undefined, /must be lowercase/],
  ];
  for (const [reference, mirror, message] of cases) {
    const options = { reference, ...(mirror === undefined ? {} : { mirror }) };
    await assert.rejects(Array.fromAsync(images.bootstrap(options)), message);
  }
});
