import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { tar } from '../tests/tar-writer.ts';
import { busyboxImage } from '../tests/test-images.ts';

/** `crun run` of the busybox root with crun's own default spec and nothing round it: the floor of what a start can cost. */
export class BareCrun implements Disposable {
  readonly #directory: string;
  #serial = 0;

  constructor() {
    this.#directory = mkdtempSync(path.join(tmpdir(), 'crun-bench-'));
    const root = path.join(this.#directory, 'rootfs');
    mkdirSync(root);
    const layer = tar(busyboxImage().layers[0] ?? []);
    execFileSync('tar', ['-x', '-C', root], { input: layer, timeout: 30_000 });
    execFileSync('crun', ['spec'], { cwd: this.#directory, timeout: 5000 });
    const file = path.join(this.#directory, 'config.json');
    const spec = JSON.parse(readFileSync(file, 'utf8')) as { process: { terminal: boolean; args: string[] } };
    spec.process.terminal = false;
    spec.process.args = ['true'];
    writeFileSync(file, JSON.stringify(spec));
  }

  run(): void {
    const state = path.join(this.#directory, 'state');
    const id = `bench${process.pid}x${this.#serial++}`;
    execFileSync('crun', ['--root', state, 'run', '--bundle', this.#directory, id], {
      timeout: 10_000,
      stdio: 'ignore',
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
