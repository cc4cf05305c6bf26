/** A tar of few kinds of entries, written without the engine's own code so that a test never proves a mistake with itself. */
export interface TarEntry {
  name: string;
  type?: 'file' | 'directory' | 'symlink' | 'hardlink';
  mode?: number;
  uid?: number;
  gid?: number;
  data?: Buffer | string;
  target?: string;
}

const TYPE_FLAG = { file: '0', hardlink: '1', symlink: '2', directory: '5' };
const BLOCK = 512;

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`;
}

/** One entry's header and padded data (ustar; names up to 100 bytes, or split at a slash with the prefix field). */
export function tarEntry(entry: TarEntry): Buffer {
  const data = typeof entry.data === 'string' ? Buffer.from(entry.data) : (entry.data ?? Buffer.alloc(0));
  const type = entry.type ?? 'file';
  const header = Buffer.alloc(BLOCK);
  let { name } = entry;
  if (type === 'directory' && !name.endsWith('/')) name += '/';
  if (name.length > 100) {
    const slash = name.lastIndexOf('/', 154);
    header.write(name.slice(0, slash), 345, 155);
    name = name.slice(slash + 1);
  }
  header.write(name, 0, 100);
  header.write(octal(entry.mode ?? (type === 'file' ? 0o644 : 0o755), 8), 100);
  header.write(octal(entry.uid ?? 0, 8), 108);
  header.write(octal(entry.gid ?? 0, 8), 116);
  header.write(octal(data.length, 12), 124);
  header.write(octal(1_700_000_000, 12), 136);
  header.write('        ', 148);
  header.write(TYPE_FLAG[type], 156);
  header.write(entry.target ?? '', 157, 100);
  header.write('ustar\x0000', 257);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK);
  return Buffer.concat([header, data, padding]);
}

export const TAR_END = Buffer.alloc(2 * BLOCK);

export function tar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map((entry) => tarEntry(entry)), TAR_END]);
}
