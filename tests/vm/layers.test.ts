import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';
import { startVmDaemon, vm } from './vm-daemon.ts';

/** Docker's own limit; QEMU's microvm machine has far fewer places for disks. */
const LAYERS = 127;

test(`an image of ${LAYERS} layers is one root behind either wall`, { timeout: 300_000 }, async () => {
  const snapshot = hostSnapshot();
  const { daemon, api } = await startVmDaemon();
  try {
    const image = busyboxImage();
    const layers = [...image.layers];
    while (layers.length < LAYERS) layers.push([{ name: `layer${layers.length}`, data: 'x' }]);
    await api
      .post('/images/load?quiet=1', dockerArchive([{ ...image, tags: ['many:layers'], layers }]))
      .is(200, (said) => !JSON.stringify(said).includes('error'));
    // The first guest boots, the next goes on from where it was saved.
    await api.output('true', vm());
    for (const wall of [{}, vm()]) {
      const { code, stdout } = await api.output(`ls / | grep -c layer; cat /layer1 /layer${LAYERS - 1}`, {
        ...wall,
        Image: 'many:layers',
      });
      assert.deepEqual([code, stdout], [0, `${LAYERS - 1}\nxx`]);
    }
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
  await assertNoLeaks(snapshot, [daemon.directory]);
});
