import type { HijackedStream } from '#/api/client/api-client.ts';
import { demultiplex } from '#/api/client/multiplexed-stream.ts';
import type { Terminal } from '../terminal.ts';
import { DetachScanner, parseDetachKeys } from './detach-keys.ts';

export interface SessionOptions {
  terminal: Terminal;
  /** The container's streams are one terminal: bytes pass as they are. */
  tty: boolean;
  stdin: boolean;
  detachKeys: string;
}

/**
 * Joins the caller's descriptors to a hijacked stream until the container's side ends (`closed`) or the user types the
 * detach keys (`detached`). The caller's terminal is raw meanwhile, and put back in any case.
 */
export async function runSession(
  stream: HijackedStream,
  options: SessionOptions,
): Promise<'closed' | 'detached'> {
  const { terminal, tty } = options;
  const keys = parseDetachKeys(options.detachKeys);
  const output = readOutput(stream, terminal, tty).then(() => 'closed' as const);
  if (!options.stdin) return output;
  const restore = tty && terminal.isTerminal(0) ? await terminal.makeRaw() : undefined;
  const { promise: detached, resolve: detach } = Promise.withResolvers<'detached'>();
  const stop = sendInput(stream, terminal, tty ? new DetachScanner(keys) : undefined, () =>
    detach('detached'),
  );
  try {
    return await Promise.race([output, detached]);
  } finally {
    stop();
    restore?.();
    stream.socket.destroy();
  }
}

async function readOutput(stream: HijackedStream, terminal: Terminal, tty: boolean): Promise<void> {
  if (tty) {
    for await (const chunk of stream.reader) terminal.out(chunk);
    return;
  }
  await demultiplex(stream.reader, (name, data) => {
    if (name === 'stderr') terminal.err(data);
    else terminal.out(data);
  });
}

/** Passes typed bytes on; the end of input closes our half of the stream and leaves the other open. */
function sendInput(
  { socket }: HijackedStream,
  terminal: Terminal,
  scanner: DetachScanner | undefined,
  detach: () => void,
): () => void {
  const input = terminal.stdin();
  const onData = (chunk: Buffer): void => {
    const { pass, detached } = scanner?.scan(chunk) ?? { pass: chunk, detached: false };
    if (pass.length > 0 && socket.writable && !socket.write(pass)) {
      input.pause();
      socket.once('drain', () => input.resume());
    }
    if (detached) detach();
  };
  const onEnd = (): void => {
    if (socket.writable) socket.end();
  };
  input.on('data', onData);
  input.once('end', onEnd);
  // A descriptor that cannot be read (closed, a directory) is an input that has ended.
  input.once('error', onEnd);
  // The container may end while we still write; its output tells the rest.
  socket.on('error', () => undefined);
  return () => {
    input.off('data', onData);
    input.off('end', onEnd);
    input.pause();
  };
}
