import type { Duplex, Readable } from 'node:stream';
import type { Attachment } from '#/runtime/runtime.ts';
import type { LogFrame, StreamChoice } from './engine.ts';
import { DetachWatch } from './detach-keys.ts';
import { OutputWriter, type StreamName, writeAll } from './frames.ts';

/** How long a client may take to close its side after the process's output has ended. */
const LINGER_MS = 10_000;

export interface StdioOptions {
  /** The process has a terminal: output is one stream, unframed, and input is watched for the detach keys. */
  terminal: boolean;
  /** Output is told apart in frames; that of a terminal cannot be. */
  framed: boolean;
  want: StreamChoice;
  detachKeys: Buffer;
  /** Output of before, sent first. */
  backlog?: AsyncIterable<LogFrame>;
  /** Undefined when there is nothing to join after all. */
  attachment?: Promise<Attachment | undefined>;
  /** The connection stays until this has come to pass too: whoever reads to the end may ask for the exit code then. */
  settled?: Promise<void>;
  /** Called when the client lets go by its detach keys. */
  detached?: () => void;
}

/** Joins a hijacked connection with a process's stdio until the output ends, the client leaves or detaches. */
export async function serveStdio(client: Duplex, options: StdioOptions): Promise<void> {
  const writer = new OutputWriter(client, options.framed);
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
  client.once('close', leave);
  try {
    for await (const frame of options.backlog ?? []) await writer.write(frame.stream, frame.data);
    // A container that was only created has its stdio when it starts, and the client may leave before.
    const attachment = await Promise.race([options.attachment, gone]);
    if (attachment === undefined) {
      void options.attachment?.then((late) => late?.[Symbol.dispose]());
      return;
    }
    using _ = attachment;
    const input = options.want.stdin ? forwardInput(client, attachment, options) : drain(client);
    const output = Promise.all([
      forwardOutput('stdout', attachment.stdout, options.want.stdout, writer),
      forwardOutput('stderr', attachment.stderr, options.want.stderr, writer),
      options.settled,
    ]);
    await Promise.race([output, gone, input.then((detached) => (detached ? undefined : output))]);
  } finally {
    close(client);
  }
}

/** Resolves at the end of the input; true when the client detached, false when it only closed its side. */
function forwardInput(client: Duplex, attachment: Attachment, options: StdioOptions): Promise<boolean> {
  const { stdin } = attachment;
  if (stdin === undefined) return drain(client);
  const watch = options.terminal ? new DetachWatch(options.detachKeys) : undefined;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  stdin.on('error', () => {});
  const forward = async (chunk: Buffer): Promise<void> => {
    const { output, detached } = watch?.feed(chunk) ?? { output: chunk, detached: false };
    if (output.length > 0) await writeAll(stdin, output);
    if (!detached) return;
    options.detached?.();
    resolve(true);
  };
  client.on('data', (chunk: Buffer) => {
    client.pause();
    void forward(chunk).then(() => client.resume());
  });
  const ended = (): void => {
    if (!stdin.destroyed) stdin.end();
    // Without its input a terminal's client is of no more use; moby lets go of it (container/stream/attach.go).
    resolve(options.terminal);
  };
  // It may have closed its side while the container was yet to start: `docker run -i … </dev/null`.
  if (client.readableEnded) ended();
  else client.on('end', ended);
  client.resume();
  return promise;
}

/** Reads and drops what a client sends that did not ask for stdin, so that its leaving is seen. */
function drain(client: Duplex): Promise<boolean> {
  client.resume();
  return new Promise(() => {});
}

async function forwardOutput(
  stream: StreamName,
  source: Readable,
  wanted: boolean,
  writer: OutputWriter,
): Promise<void> {
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      if (wanted) await writer.write(stream, chunk);
    }
  } catch {
    // The monitor's connection broke: for the client the output has ended.
  }
}

function close(client: Duplex): void {
  if (client.destroyed) return;
  client.end();
  // Unread input at close would reach the client as a reset that overtakes the output.
  client.resume();
  const timer = setTimeout(() => client.destroy(), LINGER_MS);
  timer.unref();
  client.once('close', () => clearTimeout(timer));
}
