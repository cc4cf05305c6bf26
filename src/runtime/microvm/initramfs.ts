import { readFileSync } from 'node:fs';
import path from 'node:path';

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const TRAILER = 'TRAILER!!!';

export interface InitramfsFile {
  /** Relative to the root; its directories are made. */
  name: string;
  mode: number;
  content: Uint8Array;
}

/**
 * An archive in cpio's "newc" format, as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst). The same
 * files give the same bytes.
 */
export function encodeInitramfs(files: readonly InitramfsFile[]): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  const add = (name: string, mode: number, content: Uint8Array): void => {
    const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    inode += 1;
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    parts.push(padded(Buffer.from(header)), padded(Buffer.from(content)));
  };
  for (const directory of directoriesOf(files)) add(directory, S_IFDIR | 0o755, Buffer.alloc(0));
  for (const { name, mode, content } of files) add(name, S_IFREG | mode, content);
  add(TRAILER, 0, Buffer.alloc(0));
  return Buffer.concat(parts);
}

/** What a guest boots from: its agent as `/init`, the modules in the order in which they load, and an init for containers that want one. */
export function guestInitramfs(agent: string, kernelDirectory: string, init: string | undefined): Buffer {
  const modules = path.join(kernelDirectory, 'modules');
  const order = readFileSync(path.join(modules, 'order'));
  const names = order.toString().split('\n').filter(Boolean);
  return encodeInitramfs([
    { name: 'init', mode: 0o755, content: readFileSync(agent) },
    { name: 'modules/order', mode: 0o644, content: order },
    ...names.map((name) => ({
      name: `modules/${name}`,
      mode: 0o644,
      content: readFileSync(path.join(modules, path.basename(name))),
    })),
    ...(init === undefined ? [] : [{ name: 'tini', mode: 0o755, content: readFileSync(init) }]),
  ]);
}

function directoriesOf(files: readonly InitramfsFile[]): string[] {
  const found = new Set<string>();
  for (const { name } of files) {
    for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) found.add(name.slice(0, at));
  }
  return [...found].toSorted();
}

/** Headers and contents begin at multiples of four. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
