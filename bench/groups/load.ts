import { rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { writeBigImage } from '../big-image.ts';
import { type Group, type Samples, seconds } from '../measure.ts';
import type { Peer } from '../peers.ts';

const TAG = 'big:v1';

async function bigImage(peers: readonly Peer[]): Promise<Samples[]> {
  const file = path.join(tmpdir(), `bench-${process.pid}.tar`);
  const loads: Samples = {};
  const removals: Samples = {};
  try {
    writeBigImage(file, TAG);
    if (statSync(file).size < 300e6) throw new Error('the image is smaller than it should be');
    for (const peer of peers) {
      // The quick one has three rounds; the others take most of a minute each.
      for (let round = 0; round < (peer.name === 'hull' ? 3 : 1); round++) {
        (loads[peer.name] ??= []).push(await seconds(() => void peer.cli.run('load', '-q', '-i', file)));
        (removals[peer.name] ??= []).push((await seconds(() => void peer.cli.run('rmi', TAG))) * 1000);
      }
    }
  } finally {
    rmSync(file, { force: true });
  }
  return [loads, removals];
}

export const load: Group = {
  rows: [
    {
      name: 'load',
      title: 'load an image of 100,000 files, 297 MB',
      unit: 's',
      promise: { timesDocker: 12 },
    },
    { name: 'rmi', title: 'remove that image', unit: 'ms', promise: { timesDocker: 50 } },
  ],
  measure: bigImage,
};
