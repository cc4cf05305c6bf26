import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';

import { Random } from '../tests/random.ts';
import { TAR_END, tarEntry } from '../tests/tar-writer.ts';

const FILES = 100_000;
const FILES_PER_DIRECTORY = 200;
/** Bytes of file data in all: 297 MB, the image of the first measurements. */
const TOTAL = 297_000_000;

/** Writes a `docker load` archive of one layer with 100,000 files of 0 to 6 kB each, the same every time. */
export function writeBigImage(file: string, tag: string): void {
  const random = new Random(1);
  const noise = Buffer.from(Array.from({ length: 16_384 }, () => random.between(0, 255)));
  const output = openSync(file, 'w');
  try {
    const hash = createHash('sha256');
    let length = 0;
    let pending: Buffer[] = [];
    const put = (...buffers: Buffer[]): void => {
      pending.push(...buffers);
      if (pending.length > 2000) flush();
    };
    const flush = (): void => {
      const data = Buffer.concat(pending);
      pending = [];
      hash.update(data);
      length += data.length;
      writeSync(output, data);
    };

    // The layer's header is written again once its length is known.
    writeSync(output, layerHeader(0));
    for (let index = 0; index < FILES; index++) {
      const directory = `files/${Math.floor(index / FILES_PER_DIRECTORY)}`;
      if (index % FILES_PER_DIRECTORY === 0) put(tarEntry({ name: directory, type: 'directory' }));
      const size = random.between(0, (2 * TOTAL) / FILES);
      const from = random.between(0, noise.length - size);
      put(tarEntry({ name: `${directory}/${index}`, data: noise.subarray(from, from + size) }));
    }
    put(TAR_END);
    flush();
    const diffId = `sha256:${hash.digest('hex')}`;
    const config = JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { Cmd: ['/bin/true'] },
      rootfs: { type: 'layers', diff_ids: [diffId] },
    });
    const name = `${createHash('sha256').update(config).digest('hex')}.json`;
    writeSync(output, tarEntry({ name, data: config }));
    const manifest = JSON.stringify([{ Config: name, RepoTags: [tag], Layers: ['layer.tar'] }]);
    writeSync(output, tarEntry({ name: 'manifest.json', data: manifest }));
    writeSync(output, TAR_END);
    const patched = layerHeader(length);
    writeSync(output, patched, 0, patched.length, 0);
  } finally {
    closeSync(output);
  }
}

function layerHeader(length: number): Buffer {
  const header = Buffer.from(tarEntry({ name: 'layer.tar', data: '' }));
  header.write(`${length.toString(8).padStart(11, '0')}\0`, 124);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
