import { lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { errnoCode, internal, isKind } from '#/base/errors.ts';
import { run } from '#/host/process.ts';
import { resolveInRoot } from '#/host/scoped-path.ts';
import type { ContainerContext } from '../context.ts';
import { mountRootfs } from './mount-rootfs.ts';
import { Passages } from './mount-sources.ts';
import type { ContainerRecord, MountPoint } from '../record.ts';

const DEADLINE_MS = 600_000;

/** Fills each empty volume with what the image has at its place: owners, modes, links and xattrs included. */
export async function copyUp(context: ContainerContext, record: ContainerRecord): Promise<void> {
  const mayBeEmpty: MountPoint[] = [];
  for (const mount of record.mounts) {
    if (mount.type !== 'volume' || mount.noCopy) continue;
    if (mount.subpath || (await readdir(mount.source)).length === 0) mayBeEmpty.push(mount);
  }
  if (mayBeEmpty.length === 0) return;
  await using stack = new AsyncDisposableStack();
  const root = await imageRoot(context, record, stack);
  for (const mount of mayBeEmpty) {
    const inImage = resolveInRoot(root, mount.destination);
    if (isDirectory(inImage)) await fill(context, record.id, mount, inImage);
  }
}

/** Nothing is in the container's writable layer yet; a guest's is not for the host to mount even so. */
async function imageRoot(
  context: ContainerContext,
  record: ContainerRecord,
  stack: AsyncDisposableStack,
): Promise<string> {
  if (context.snapshotter.mounts(record.id).disk?.guest === true) {
    return await stack.use(new Passages(context, record.id)).ofImage(record);
  }
  stack.defer(() => context.rootfs.unmount(record.id));
  return await mountRootfs(context, record);
}

async function fill(
  context: ContainerContext,
  id: string,
  { name = '', destination, subpath }: MountPoint,
  inImage: string,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const volume = await context.volumes.mount(name, id);
  stack.defer(() => context.volumes.unmount(name, id, { quiet: true }));
  const passages = stack.use(new Passages(context, id));
  try {
    const target = subpath ? passages.into(volume, subpath) : volume;
    if ((await readdir(target)).length > 0) return;
    // The directory itself too: its owner and mode are what the image wants there.
    const { code, stderr } = await run('cp', ['-a', '--reflink=auto', '-T', '--', inImage, target], {
      timeoutMs: DEADLINE_MS,
    });
    if (code !== 0) throw internal(`Cannot copy "${destination}": ${stderr.toString().trim()}`);
  } catch (error) {
    // A part that is not there yet may be by the time of the start; one that is a file takes no files.
    if (!isKind(error, 'notFound') && errnoCode(error) !== 'ENOTDIR') throw error;
  }
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}
