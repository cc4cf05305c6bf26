import { createInterface } from 'node:readline';
import type { Socket } from 'node:net';
import { internal } from '#/base/errors.ts';

interface Answer {
  return?: unknown;
  error?: { desc: string };
  event?: string;
}

const DEADLINE_MS = 30_000;

/** QEMU's control protocol (docs/interop/qmp-spec.rst), over a connected socket. */
export class Qmp implements Disposable {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Answer) => void)[] = [];
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    const lines = createInterface({ input: socket, crlfDelay: Infinity });
    lines.on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      if (answer.return !== undefined || answer.error !== undefined) this.#waiting.shift()?.(answer);
    });
    socket.on('close', () => {
      this.#ended = true;
      for (const waiting of this.#waiting.splice(0)) waiting({ error: { desc: 'QEMU has ended' } });
    });
  }

  static async open(socket: Socket): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  /** Runs a command and returns what it answers. */
  async execute(command: string, options: object = {}): Promise<unknown> {
    if (this.#ended) throw internal(`QEMU: ${command}: QEMU has ended`);
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const deadline = setTimeout(
      () => resolve({ error: { desc: `no answer in ${DEADLINE_MS} ms` } }),
      DEADLINE_MS,
    );
    this.#waiting.push(resolve);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: options })}\n`);
    const { error, return: answer } = await promise;
    clearTimeout(deadline);
    if (error !== undefined) throw internal(`QEMU: ${command}: ${error.desc}`);
    return answer;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
