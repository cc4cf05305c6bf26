import { messageOf } from '#/base/errors.ts';
import { parseBool, parseByteSize, parseDecimal } from '#/base/go-scalars.ts';

/** How a log's file is kept from growing. */
export interface Rotation {
  /** Bytes before the file is rotated away; undefined: never. */
  maxSize?: number;
  /** Files kept, the current one included. */
  maxFiles: number;
  /** Those that were rotated away are compressed. */
  compress: boolean;
}

/** 100 MB a container at most: what Docker's `local` driver keeps, and its `json-file` lacks, so that logs fill disks. */
const MAX_SIZE = 20 << 20;
const MAX_FILES = 5;

/** How options say that a file may grow for ever, where the default is that it may not. */
const UNLIMITED = '-1';

type Options = Readonly<Record<string, string>>;

/** Throws an Error in the words of Docker's driver. */
export function jsonFileRotation(options: Options): Rotation {
  const { 'max-size': size, 'max-file': files, compress: compressed } = options;
  const maxSize = size === undefined ? MAX_SIZE : size === UNLIMITED ? undefined : parseByteSize(size, 1000);
  if (maxSize !== undefined && maxSize <= 0) throw new Error('max-size must be a positive number');
  // Docker keeps one file where only a size is given.
  const maxFiles = files === undefined ? (size === undefined ? MAX_FILES : 1) : parseDecimal(files);
  if (maxFiles < 1) throw new Error('max-file cannot be less than 1');
  const compress = compressed !== undefined && parseBool(compressed);
  if (compress && (maxFiles === 1 || maxSize === undefined)) {
    throw new Error('compress cannot be true when max-file is less than 2 or max-size is not set');
  }
  return { ...(maxSize === undefined ? {} : { maxSize }), maxFiles, compress };
}

/** Throws an Error in the words of Docker's driver. The caches of drivers that cannot be read have the same options after a `prefix`. */
export function localRotation(options: Options, prefix = ''): Rotation {
  const {
    [`${prefix}max-size`]: size,
    [`${prefix}max-file`]: files,
    [`${prefix}compress`]: compressed,
  } = options;
  const maxSize =
    size === undefined
      ? MAX_SIZE
      : size === UNLIMITED
        ? undefined
        : explained(`invalid value for ${prefix}max-size: ${size}`, () => parseByteSize(size, 1000));
  const maxFiles =
    files === undefined
      ? MAX_FILES
      : explained(`invalid value for ${prefix}max-file: ${files}`, () => parseDecimal(files));
  if (maxFiles < 0) throw new Error(`${prefix}max-file must not be negative`);
  const compress =
    compressed === undefined ||
    explained(`invalid boolean value for ${prefix}compress`, () => parseBool(compressed));
  if (compress && maxFiles <= 1) {
    throw new Error(`compression cannot be enabled when max file count is ${maxFiles}`);
  }
  return { ...(maxSize === undefined ? {} : { maxSize }), maxFiles: Math.max(1, maxFiles), compress };
}

function explained<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
  }
}
