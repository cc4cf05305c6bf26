import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import path from 'node:path';
import type { ApiClient } from '#/api/client/api-client.ts';
import { errnoCode } from '#/base/errors.ts';
import { byteString } from '#/archive/tar-entry.ts';
import { extractTar } from '#/archive/tree-extractor.ts';
import { memberToTar } from '#/archive/tree-to-tar.ts';
import type { Command, CommandContext } from '../command.ts';
import { decimalSize } from '../format/units.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
  long: `Copy files/folders between a container and the local filesystem

Use '-' as the source to read a tar archive from stdin
and extract it to a directory destination in a container.
Use '-' as the destination to stream a tar archive of a
container source to stdout.`,
  flags: `
  -a, --archive  Archive mode (copy all uid/gid information)
  -L, --follow-link  Always follow symbol link in SRC_PATH
  -q, --quiet  Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached
`,
  arguments: { min: 2, max: 2 },
  async run(context) {
    const [from, to] = context.args.map(splitArgument);
    if (!from || !to || (from.path === '' && from.container === undefined))
      throw new Error('source can not be empty');
    if (to.path === '') throw new Error('destination can not be empty');
    if (from.container !== undefined && to.container !== undefined) {
      throw new Error('copying between containers is not supported');
    }
    if (from.container !== undefined) return copyOut(context, from.container, from.path, to.path);
    if (to.container !== undefined) return copyIn(context, from.path, to.container, to.path);
    throw new Error('must specify at least one container source');
  },
};

/** `CONTAINER:PATH`; a path that is absolute or starts with a dot is always a local one. */
function splitArgument(text: string): { container?: string; path: string } {
  const colon = text.indexOf(':');
  if (text.startsWith('/') || text.startsWith('.') || colon === -1) return { path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

// Bits of Go's os.FileMode (its package io/fs).
const GO_DIRECTORY = 0x80000000;
const GO_SYMLINK = 0x08000000;
const GO_OTHER = 0x04000000 + 0x02000000 + 0x01000000;

interface Stat {
  mode: number;
  linkTarget: string;
}

const has = (mode: number, bits: number): boolean => (BigInt(mode) & BigInt(bits)) !== 0n;

async function statIn(client: ApiClient, container: string, file: string): Promise<Stat | undefined> {
  try {
    const { headers } = await client.request('HEAD', `/containers/${container}/archive`, {
      query: { path: file },
    });
    return decodeStat(headers);
  } catch {
    // As Docker: whatever is wrong, the copy itself tells it better.
    return undefined;
  }
}

function decodeStat(headers: Map<string, string>): Stat {
  const header = headers.get('x-docker-container-path-stat') ?? '';
  return JSON.parse(Buffer.from(header, 'base64').toString('utf8')) as Stat;
}

async function copyIn(context: CommandContext, from: string, container: string, to: string): Promise<void> {
  const { flags, client, terminal } = context;
  let place = to;
  let there = await statIn(client, container, to);
  if (there !== undefined && has(there.mode, GO_SYMLINK)) {
    place = there.linkTarget;
    there = await statIn(client, container, place);
  }
  if (there !== undefined && has(there.mode, GO_OTHER)) {
    throw new Error(`destination "${container}:${to}" must be a directory or a regular file`);
  }
  const known = there === undefined ? undefined : { isDirectory: has(there.mode, GO_DIRECTORY) };
  let size = 0;
  const send = async (directory: string, tar: AsyncIterable<Buffer>): Promise<void> => {
    const counted = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of tar) {
        size += chunk.length;
        yield chunk;
      }
    };
    await client.text('PUT', `/containers/${container}/archive`, {
      query: {
        path: directory,
        noOverwriteDirNonDir: true,
        copyUIDGID: flags.bool('archive') ? true : undefined,
      },
      headers: { 'Content-Type': 'application/x-tar' },
      upload: counted(),
    });
  };
  if (from === '-') {
    if (known?.isDirectory !== true) throw new Error(`destination "${container}:${to}" must be a directory`);
    await send(place, terminal.stdin() as AsyncIterable<Buffer>);
  } else {
    const source = localSource(from, flags.bool('follow-link'));
    const { directory, name } = destination(source, place, known);
    const parent = openSync(source.parent, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await send(directory, memberToTar(parent, byteString(source.base), byteString(name ?? source.name)));
    } finally {
      closeSync(parent);
    }
  }
  if (!flags.bool('quiet') && terminal.isTerminal(1)) {
    terminal.err(`Successfully copied ${decimalSize(size, 3)} to ${container}:${place}\n`);
  }
}

async function copyOut(context: CommandContext, container: string, from: string, to: string): Promise<void> {
  const { flags, client, terminal } = context;
  const parent = path.dirname(path.resolve(to));
  if (to !== '-' && statSync(parent, { throwIfNoEntry: false }) === undefined) {
    throw new Error(`invalid output path: directory "${parent}" does not exist`);
  }
  let source = from;
  let shown = lastName(from);
  if (flags.bool('follow-link')) {
    const stat = await statIn(client, container, from);
    if (stat !== undefined && has(stat.mode, GO_SYMLINK)) source = stat.linkTarget;
  }
  const { headers, body } = await client.request('GET', `/containers/${container}/archive`, {
    query: { path: source },
  });
  if (to === '-') {
    for await (const chunk of body) terminal.out(chunk);
    return;
  }
  const isDirectory = has(decodeStat(headers).mode, GO_DIRECTORY);
  const found = statSync(to, { throwIfNoEntry: false });
  const known = found === undefined ? undefined : { isDirectory: found.isDirectory() };
  const sent = lastName(source);
  if (source === from) shown = sent;
  const { directory, name = shown } = destination({ name: shown, isDirectory }, to, known);
  let size = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of body) {
      size += chunk.length;
      yield chunk;
    }
  };
  await extractTar(counted(), path.resolve(directory), {
    keepKind: true,
    // What is copied out belongs to who copies it.
    owner: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
    withoutXattrs: true,
    ...(name === sent ? {} : { rename: (member: string) => renamed(member, sent, name) }),
  });
  if (!flags.bool('quiet') && terminal.isTerminal(1)) {
    terminal.err(`Successfully copied ${decimalSize(size, 3)} to ${absolute(to)}\n`);
  }
}

function renamed(member: string, from: string, to: string): string {
  const [old, other] = [byteString(from === '/' ? '' : from), byteString(to)];
  if (member === old || member.startsWith(`${old}/`)) return other + member.slice(old.length);
  return member;
}

/** The last component; `.` where the path says "the contents of". */
function lastName(file: string): string {
  if (/(^|\/)\.$/.test(file)) return '.';
  return path.posix.basename(path.posix.join('/', file)) || '/';
}

/** Absolute, a final slash or `/.` kept. */
function absolute(file: string): string {
  const tail = /(^|\/)\.$/.test(file) ? '/.' : file.endsWith('/') ? '/' : '';
  const resolved = path.resolve(file);
  return resolved === '/' ? '/' : resolved + tail;
}

interface Source {
  name: string;
  isDirectory: boolean;
}

function localSource(file: string, follow: boolean): Source & { parent: string; base: string } {
  const full = absolute(file);
  const stats = statAt(full);
  if (stats === undefined) throw new Error(`lstat ${path.resolve(file)}: no such file or directory`);
  if (!follow && !/\/\.?$/.test(full)) {
    const [parent, base] = [path.dirname(full), path.basename(full)];
    return { name: base, isDirectory: stats.isDirectory(), parent, base };
  }
  const real = realPath(full);
  const isDirectory = statSync(real).isDirectory();
  return { name: lastName(file), isDirectory, parent: path.dirname(real), base: path.basename(real) || '.' };
}

/** Undefined for what is not there. A final `/.` of something else than a directory is refused. */
function statAt(full: string): Stats | undefined {
  try {
    return lstatSync(full, { throwIfNoEntry: false });
  } catch (error) {
    if (errnoCode(error) === 'ENOTDIR') throw new Error('not a directory', { cause: error });
    throw error;
  }
}

function realPath(full: string): string {
  try {
    return realpathSync(full);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    const target = path.resolve(path.dirname(full), readlinkSync(full));
    throw new Error(`lstat ${target}: no such file or directory`, { cause: error });
  }
}

/** Docker's rules (moby's pkg/archive/copy.go, PrepareArchiveCopy): where to unpack, and under which name if not its own. */
function destination(
  source: Source,
  to: string,
  existing: { isDirectory: boolean } | undefined,
): { directory: string; name?: string } {
  if (existing?.isDirectory === true) return { directory: to };
  if (existing !== undefined && source.isDirectory) throw new Error('cannot copy directory');
  if (existing === undefined && !source.isDirectory && /\/\.?$/.test(to))
    throw new Error('no such directory');
  const clean = path.posix.normalize(to).replace(/\/$/, '');
  return { directory: path.posix.dirname(clean), name: path.posix.basename(clean) };
}
