import { internal, messageOf } from '#/base/errors.ts';
import { parseByteSize } from '#/base/go-scalars.ts';

/** Bytes that a container may write by `--storage-opt`; 0 without a limit. In the words, and with the status, of Docker's overlay2 driver. */
export function storageLimit(options: Readonly<Record<string, string>>, absent: number): number {
  let size = absent;
  for (const [key, value] of Object.entries(options)) {
    if (key.toLowerCase() !== 'size') throw internal(`unknown option ${key}`);
    try {
      size = parseByteSize(value, 1024);
    } catch (error) {
      throw internal(messageOf(error), { cause: error });
    }
  }
  return size;
}
