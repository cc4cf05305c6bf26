import type { ByteReader } from './byte-reader.ts';

export type StreamName = 'stdin' | 'stdout' | 'stderr';

const NAMES: Record<number, StreamName> = { 0: 'stdin', 1: 'stdout', 2: 'stderr' };

/**
 * Takes Docker's multiplexed stream apart: frames of an 8-byte header (stream, three zero bytes, length as a
 * big-endian uint32) and their payload, which is handed on as it arrives, in pieces. Frame type 3 is an error of the
 * daemon's own.
 */
export async function demultiplex(
  input: ByteReader | AsyncIterable<Buffer>,
  write: (stream: StreamName, data: Buffer) => void,
): Promise<void> {
  let header: Buffer = Buffer.alloc(0);
  let left = 0;
  let stream: StreamName = 'stdout';
  let failure: Buffer[] | undefined;
  for await (const received of input) {
    let chunk = received;
    while (chunk.length > 0) {
      if (left === 0) {
        const missing = 8 - header.length;
        const part = chunk.subarray(0, missing);
        header = header.length === 0 ? part : Buffer.concat([header, part]);
        chunk = chunk.subarray(part.length);
        if (header.length < 8) break;
        left = header.readUInt32BE(4);
        const type = header[0] ?? 0;
        header = Buffer.alloc(0);
        if (type === 3) failure = [];
        else {
          const name = NAMES[type];
          if (name === undefined) throw new Error(`Unrecognized input header: ${type}`);
          stream = name;
        }
        continue;
      }
      const payload = chunk.subarray(0, left);
      left -= payload.length;
      chunk = chunk.subarray(payload.length);
      if (failure === undefined) write(stream, payload);
      else {
        failure.push(payload);
        if (left === 0) throw new Error(`error from daemon in stream: ${Buffer.concat(failure).toString()}`);
      }
    }
  }
}
