import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#/base/errors.ts';
import { goDuration } from '#/base/time.ts';
import { killPid } from '#/host/process.ts';
import type { HealthConfig } from '#/wire/generated.ts';
import type { Execs } from '../execs.ts';

export interface ProbeResult {
  /** 0 is healthy; -1 when it could not run or took too long. */
  exitCode: number;
  output: string;
}

const DEFAULT_SHELL = ['/bin/sh', '-c'];
/** Docker keeps so many bytes of what a probe says. */
const OUTPUT_LIMIT = 4096;
// Output may be held open by what a probe left running; nobody waits for that.
const OUTPUT_GRACE_MS = 500;
// A killed probe that is stuck in the kernel does not stop the checks.
const KILL_GRACE_MS = 10_000;
const SIGKILL = 9;

/** The command of a health check; undefined for none, and for a kind that Docker does not know either. */
export function probeCommand(
  check: HealthConfig | undefined,
  shell: readonly string[] | null | undefined,
): string[] | undefined {
  const [kind, ...words] = check?.Test ?? [];
  if (words.length === 0) return undefined;
  if (kind === 'CMD') return words;
  if (kind === 'CMD-SHELL') return [...(shell?.length ? shell : DEFAULT_SHELL), ...words];
  return undefined;
}

/** Runs a probe once as an exec of the container. Never rejects: that it could not run is a result too. */
export async function runProbe(
  execs: Execs,
  containerId: string,
  command: string[],
  timeoutMs: number,
): Promise<ProbeResult> {
  try {
    const { Id: id } = await execs.create(containerId, {
      Cmd: command,
      AttachStdout: true,
      AttachStderr: true,
    });
    const session = await execs.start(id, { detach: false });
    if (session === undefined) return { exitCode: -1, output: '' };
    using attachment = await session.attachment;
    const output = new LimitedOutput();
    const ended = [attachment.stdout, attachment.stderr].map((stream) => output.follow(stream));
    const cancel = new AbortController();
    const inTime = await Promise.race([
      session.settled.then(() => true),
      delay(timeoutMs, false, { signal: cancel.signal, ref: false }),
    ]);
    cancel.abort();
    if (!inTime) {
      const pid = execs.inspect(id).Pid ?? 0;
      if (pid > 0) killPid(pid, SIGKILL);
      await Promise.race([session.settled, delay(KILL_GRACE_MS, undefined, { ref: false })]);
      const words = `Health check exceeded timeout (${goDuration(timeoutMs * 1e6)})`;
      return { exitCode: -1, output: output.text === '' ? words : `${words}: ${output.text}` };
    }
    await Promise.race([Promise.all(ended), delay(OUTPUT_GRACE_MS, undefined, { ref: false })]);
    return { exitCode: execs.inspect(id).ExitCode ?? -1, output: output.text };
  } catch (error) {
    return { exitCode: -1, output: messageOf(error) };
  }
}

/** The first bytes of two streams as they came. */
class LimitedOutput {
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #truncated = false;

  /** Resolves when the stream is over, however it ended. */
  async follow(stream: AsyncIterable<Buffer>): Promise<void> {
    try {
      for await (const piece of stream) this.#add(piece);
    } catch {
      // Its end is all that matters.
    }
  }

  get text(): string {
    return Buffer.concat(this.#pieces).toString() + (this.#truncated ? '...' : '');
  }

  #add(piece: Buffer): void {
    const kept = piece.subarray(0, OUTPUT_LIMIT - this.#length);
    if (kept.length < piece.length) this.#truncated = true;
    if (kept.length === 0) return;
    this.#length += kept.length;
    this.#pieces.push(kept);
  }
}
