import { rmSync } from 'node:fs';
import { internal } from '#/base/errors.ts';
import type { Attachment, ExecTask, Exit, TerminalSize } from '../runtime.ts';
import { ExecStatus } from './exec-status.ts';

/** An exec of a guest's: it has started when the guest says so, not when hull-vm runs. */
export class MicrovmExec implements ExecTask {
  readonly id: string;
  readonly #outer: ExecTask;
  readonly #file: string;

  constructor(outer: ExecTask, file: string) {
    this.id = outer.id;
    this.#outer = outer;
    this.#file = file;
  }

  get pid(): number {
    return this.#outer.pid;
  }

  get exited(): Promise<Exit> {
    return this.#outer.exited;
  }

  async start(): Promise<void> {
    using status = new ExecStatus(this.#file);
    await this.#outer.start();
    void this.exited.then(() => status.settle(''));
    const failure = await status.told;
    rmSync(this.#file, { force: true });
    if (failure === '') return;
    await this.exited;
    throw internal(failure);
  }

  attach(want: { stdin: boolean; output: boolean }): Promise<Attachment> {
    return this.#outer.attach(want);
  }

  resize(size: TerminalSize): Promise<void> {
    return this.#outer.resize(size);
  }

  remove(): Promise<void> {
    return this.#outer.remove();
  }
}
