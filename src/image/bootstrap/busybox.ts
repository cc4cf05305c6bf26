import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { byteString, type TarEntry, textOf } from '#/archive/tar-entry.ts';
import { readTar } from '#/archive/tar-reader.ts';
import { type NewTarMember, writeTar } from '#/archive/tar-writer.ts';
import { unavailable } from '#/base/errors.ts';
import { run, spawnStreaming } from '#/host/process.ts';
import type { Report } from '../progress.ts';
import { aptEnvironment } from './apt-sources.ts';
import { missingPackage, type RootFilesystem } from './debian.ts';

const PACKAGE = 'busybox-static';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DOWNLOAD_MS = 5 * 60_000;
const TOOL_MS = 30_000;
const LARGEST_BUSYBOX = 32 << 20;

/** Directories of the busybox image, with their modes. */
const DIRECTORIES: [string, number][] = [
  ['bin', 0o755],
  ['dev', 0o755],
  ['etc', 0o755],
  ['home', 0o755],
  ['root', 0o700],
  ['tmp', 0o1777],
  ['usr', 0o755],
  ['usr/bin', 0o755],
  ['usr/sbin', 0o755],
  ['var', 0o755],
  ['var/spool', 0o755],
  ['var/spool/mail', 0o755],
  ['var/www', 0o755],
];

const USERS = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`;

const GROUPS =
  'daemon:1 bin:2 sys:3 adm:4 tty:5 disk:6 lp:7 mail:8 kmem:9 wheel:10 cdrom:11 dialout:18 floppy:19 video:28 audio:29 tape:32 www-data:33 operator:37 utmp:43 plugdev:46 staff:50 lock:54 netdev:82 users:100 nobody:65534'
    .split(' ')
    .map((group) => group.replace(':', ':x:'));

/** busybox from Debian's static package: one program and a hard link to it for each of its applets. */
export async function busyboxRootFilesystem(report: Report, signal?: AbortSignal): Promise<RootFilesystem> {
  const directory = await mkdtemp(path.join(tmpdir(), 'hull-bootstrap-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  try {
    report({ status: `Downloading ${PACKAGE} with apt` });
    const file = await downloadPackage(directory, signal);
    report({ status: `Unpacking ${path.basename(file)}` });
    const { program, entry } = await unpackProgram(file, signal);
    const executable = path.join(directory, 'busybox');
    await writeFile(executable, program, { mode: 0o755 });
    const { stdout } = await run(executable, ['--list'], { timeoutMs: TOOL_MS });
    const applets = stdout
      .toString('utf8')
      .split('\n')
      .filter((name) => name !== '' && name !== 'busybox');
    return {
      tar: rootFilesystem(program, entry.mtime, applets),
      changes: [`ENV PATH=${PATH}`, 'CMD ["sh"]'],
      created: new Date(entry.mtime * 1000).toISOString().replace('.000', ''),
      comment: `busybox from Debian's ${path.basename(file)}`,
      [Symbol.asyncDispose]: async () => {},
    };
  } catch (error) {
    // dpkg-deb comes with every apt.
    throw missingPackage(error, 'apt', 'busybox');
  }
}

/** With the host's package lists, or when those have nothing, with fresh ones of its own. apt verifies signatures either way. */
async function downloadPackage(directory: string, signal?: AbortSignal): Promise<string> {
  const downloads = path.join(directory, 'download');
  await mkdir(downloads);
  // apt fetches as its own user, who must be able to write there.
  const { stdout } = await run('id', ['-u', '_apt'], { timeoutMs: TOOL_MS });
  const user = Number(stdout.toString('utf8').trim() || 'NaN');
  if (Number.isInteger(user) && process.getuid?.() === 0) {
    await chown(downloads, user, 0);
    await chmod(directory, 0o711);
  }
  const env = await aptEnvironment(signal);
  const apt = (args: string[]) =>
    run('apt-get', ['-q', ...args], {
      timeoutMs: DOWNLOAD_MS,
      cwd: downloads,
      env,
      ...(signal === undefined ? {} : { signal }),
    });
  let result = await apt(['download', PACKAGE]);
  if (result.code !== 0) {
    const state = path.join(directory, 'state');
    await mkdir(path.join(state, 'lists', 'partial'), { recursive: true });
    const own = ['-o', `Dir::State::Lists=${state}/lists`, '-o', `Dir::Cache=${state}`];
    result = await apt([...own, 'update']);
    if (result.code === 0) result = await apt([...own, 'download', PACKAGE]);
  }
  const file = (await readdir(downloads)).find((name) => name.endsWith('.deb'));
  if (result.code !== 0 || file === undefined) {
    throw unavailable(
      `Cannot bootstrap "busybox": apt-get cannot download ${PACKAGE}: ${result.stderr.toString('utf8').trim()}`,
    );
  }
  return path.join(downloads, file);
}

async function unpackProgram(
  file: string,
  signal?: AbortSignal,
): Promise<{ program: Buffer; entry: TarEntry }> {
  const { stdout } = await spawnStreaming('dpkg-deb', ['--fsys-tarfile', file], {
    timeoutMs: TOOL_MS,
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const member of readTar(stdout)) {
    if (!/^\.?\/?(usr\/)?bin\/busybox$/.test(textOf(member.entry.name))) continue;
    return { program: await member.bytes(LARGEST_BUSYBOX), entry: member.entry };
  }
  throw unavailable(`Cannot bootstrap "busybox": the package ${path.basename(file)} has no busybox`);
}

function rootFilesystem(program: Buffer, mtime: number, applets: readonly string[]): Readable {
  const file = (name: string, mode: number, data: Buffer | string): NewTarMember => ({
    entry: { name: byteString(name), mode, mtime },
    data: Buffer.from(data),
  });
  const links = [...applets.map((applet) => `bin/${applet}`), 'usr/bin/env'];
  return writeTar([
    ...DIRECTORIES.map(([name, mode]) => ({
      entry: { name: `${name}/`, type: 'directory' as const, mode, mtime },
    })),
    file('bin/busybox', 0o755, program),
    ...links.map((name) => ({
      entry: { name: byteString(name), type: 'hardlink' as const, linkName: 'bin/busybox', mtime },
    })),
    file('etc/passwd', 0o644, USERS),
    file('etc/group', 0o644, `root:x:0:\n${GROUPS.map((line) => `${line}:\n`).join('')}`),
    file('etc/shadow', 0o600, USERS.replace(/^([\w-]+):.*$/gm, '$1:*:::::::')),
  ]);
}
