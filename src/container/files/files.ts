import { type BigIntStats, closeSync, constants, fstatSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { openCompressed } from '#/archive/compression.ts';
import { byteString } from '#/archive/tar-entry.ts';
import { extractTar } from '#/archive/tree-extractor.ts';
import { memberToTar, treeToTar } from '#/archive/tree-to-tar.ts';
import { errnoCode, forbidden, invalid, notFound } from '#/base/errors.ts';
import { refusalOfPath } from '#/host/refused-path.ts';
import { openInRoot } from '#/host/rooted-file.ts';
import { type Owner, ownerInside, ownerOutside } from '#/oci/id-mapping.ts';
import { changesOf, type FilesystemChange, guestChangesOf } from './changes.ts';
import type { Container } from '../containers.ts';
import { type ContainerContext, publish } from '../context.ts';
import { hasOwnKernel } from '../create/isolation.ts';
import { followGuestLinks, guestRead, guestStat, guestUser, guestWrite } from './guest-files.ts';
import { guestTar } from './guest-tar.ts';
import { openGuest } from './open-guest.ts';
import { openBareRoot, openRoot } from './open-root.ts';
import { isRunning } from '../record.ts';
import { followLinks, pathStat, type PathStat } from './path-stat.ts';
import { lookupUser } from '../start/user.ts';

const O_PATH = 0o10000000;

/** Copying in and out of containers, running or not, and what they changed. */
export class Files {
  readonly #context: ContainerContext;

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  /** What is at a path of the container; a link in the last place is not followed, unless a slash follows it. */
  async stat(reference: string, wanted: string): Promise<PathStat> {
    const container = this.#context.containers.get(reference);
    const absolute = absolutePath(wanted);
    const absent = (): Error => missing(wanted, reference);
    if (this.#isGuest(container)) {
      await using guest = await openGuest(this.#context, container);
      return await guestStat(guest.files, absolute, absent);
    }
    await using root = await openRoot(this.#context, container);
    const found = openPath(root.fd, absolute, absent);
    closeSync(found.fd);
    return pathStat(root.fd, absolute, found.stats);
  }

  /** A path as a tar, its members named from the path's last component on. The container is held open until the tar has ended. */
  async read(reference: string, wanted: string): Promise<{ stat: PathStat; tar: AsyncIterable<Buffer> }> {
    const container = this.#context.containers.get(reference);
    await using stack = new AsyncDisposableStack();
    const absolute = absolutePath(wanted);
    const absent = (): Error => missing(wanted, reference);
    if (this.#isGuest(container)) {
      const { files } = stack.use(await openGuest(this.#context, container));
      const { stat, tar } = await guestRead(files, absolute, absent, belowKernel);
      publish(this.#context.events, container, 'archive-path');
      return { stat, tar: held(tar, stack.move()) };
    }
    const root = stack.use(await openRoot(this.#context, container));
    const found = openPath(root.fd, absolute, absent);
    stack.defer(() => closeSync(found.fd));
    const stat = pathStat(root.fd, absolute, found.stats);
    publish(this.#context.events, container, 'archive-path');
    const name = byteString(stat.name);
    const inside = insideOwners(container);
    const tar = found.stats.isDirectory()
      ? treeToTar(`/proc/self/fd/${found.fd}`, {
          ...inside,
          as: name,
          exclude: belowKernel(followLinks(root.fd, absolute)),
        })
      : memberToTar(this.#parent(stack, root.fd, absolute), name, name, inside);
    return { stat, tar: held(tar, stack.move()) };
  }

  /** Unpacks a tar, plain or compressed, in a directory of the container. */
  async write(
    reference: string,
    wanted: string,
    tar: Readable,
    options: { noOverwriteDirNonDir: boolean; copyUIDGID: boolean },
  ): Promise<void> {
    const container = this.#context.containers.get(reference);
    const { record } = container;
    if (this.#isGuest(container)) return await this.#writeGuest(container, wanted, tar, options);
    await using root = await openRoot(this.#context, container);
    const target = followLinks(root.fd, absolutePath(wanted));
    const found = openPath(root.fd, target, () => missing(wanted, reference));
    closeSync(found.fd);
    if (!found.stats.isDirectory()) throw invalid('extraction point is not a directory');
    refuseReadOnly(container, target);
    const place = `/proc/self/fd/${root.fd}`;
    const user = options.copyUIDGID && record.config.User ? lookupUser(place, record.config.User) : undefined;
    const { idMapping } = record;
    const ownerOf = idMapping === undefined ? undefined : (owner: Owner) => ownerOutside(idMapping, owner);
    await extractTar((await openCompressed(tar)).stream, place, {
      at: target.split('/').filter(Boolean).map(byteString),
      keepKind: options.noOverwriteDirNonDir,
      ...(ownerOf === undefined ? {} : { ownerOf }),
      ...(user === undefined ? {} : { owner: ownerOf?.(user) ?? { uid: user.uid, gid: user.gid } }),
    });
    publish(this.#context.events, container, 'extract-to-dir');
  }

  async #writeGuest(
    container: Container,
    wanted: string,
    tar: Readable,
    options: { noOverwriteDirNonDir: boolean; copyUIDGID: boolean },
  ): Promise<void> {
    const { record } = container;
    await using guest = await openGuest(this.#context, container);
    const target = await followGuestLinks(guest.files, absolutePath(wanted));
    refuseReadOnly(container, target);
    const owner =
      options.copyUIDGID && record.config.User ? await guestUser(guest.files, record.config.User) : undefined;
    await guestWrite(guest.files, target, tar, {
      keepKind: options.noOverwriteDirNonDir,
      owner,
      absent: () => missing(wanted, record.name),
    });
    publish(this.#context.events, container, 'extract-to-dir');
  }

  /** What differs from the image, ordered by path. */
  async changes(reference: string): Promise<FilesystemChange[]> {
    const container = this.#context.containers.get(reference);
    if (this.#isGuest(container)) {
      await using guest = await openGuest(this.#context, container);
      this.#context.rootfs.mountLayers(container.id);
      return await guestChangesOf(this.#context.snapshotter, container.record, guest.files);
    }
    // Mounts the layers, and keeps a stopped container from starting meanwhile.
    await using _ = await openBareRoot(this.#context, container);
    return changesOf(this.#context.snapshotter, container.record);
  }

  /** The container's root filesystem as a tar, without what is mounted in it. */
  async export(reference: string): Promise<AsyncIterable<Buffer>> {
    const container = this.#context.containers.get(reference);
    await using stack = new AsyncDisposableStack();
    if (this.#isGuest(container)) {
      const { files } = stack.use(await openGuest(this.#context, container));
      publish(this.#context.events, container, 'export');
      return held(guestTar(files.tree('/', { whole: true, unmounted: true })), stack.move());
    }
    const root = stack.use(await openBareRoot(this.#context, container));
    publish(this.#context.events, container, 'export');
    return held(treeToTar(`/proc/self/fd/${root.fd}`, insideOwners(container)), stack.move());
  }

  #isGuest({ record }: Container): boolean {
    return hasOwnKernel(this.#context.runtimes.get(record.runtime));
  }

  #parent(stack: AsyncDisposableStack, root: number, absolute: string): number {
    const fd = openInRoot(root, path.posix.dirname(absolute), constants.O_RDONLY | constants.O_DIRECTORY);
    stack.defer(() => closeSync(fd));
    return fd;
  }
}

/** Archives name owners as the container's processes know them. */
function insideOwners({ record: { idMapping } }: Container): { ownerOf?: (owner: Owner) => Owner } {
  return idMapping === undefined ? {} : { ownerOf: (owner) => ownerInside(idMapping, owner) };
}

/** Passes a stream on and lets go of what it needs when it ends, however it ends. */
async function* held(tar: Readable, stack: AsyncDisposableStack): AsyncGenerator<Buffer> {
  await using _ = stack;
  yield* tar as AsyncIterable<Buffer>;
}

/** Leaves out what the kernel makes up below these directories: it has no sizes to be packed by, and is no file of the container's. */
function belowKernel(directory: string): (member: string) => boolean {
  return (member) => /^\/(proc|sys|dev)\//.test(`${directory === '/' ? '' : directory}/${member}`);
}

/** Absolute and clean, except that a final `/` or `/.` stays: it means "follow", and "the contents". */
function absolutePath(wanted: string): string {
  const clean = path.posix.join('/', wanted);
  if (/(^|\/)\.$/.test(wanted)) return clean === '/' ? '/.' : `${clean.replace(/\/$/, '')}/.`;
  return clean;
}

function openPath(root: number, absolute: string, absent: () => Error): { fd: number; stats: BigIntStats } {
  const follows = /\/\.?$/.test(absolute);
  try {
    const kind = constants.O_DIRECTORY;
    const fd = follows
      ? openInRoot(root, absolute, constants.O_RDONLY | kind)
      : openInRoot(root, absolute, O_PATH | constants.O_NOFOLLOW);
    const stats = fstatSync(fd, { bigint: true });
    if (follows || !stats.isDirectory()) return { fd, stats };
    closeSync(fd);
    return { fd: openInRoot(root, absolute, constants.O_RDONLY | kind | constants.O_NOFOLLOW), stats };
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') throw absent();
    const refused = refusalOfPath(error);
    throw refused === undefined ? error : invalid(`lstat ${absolute}: ${refused}`);
  }
}

function missing(wanted: string, reference: string): Error {
  return notFound(`Could not find the file ${wanted} in container ${reference}`);
}

function refuseReadOnly({ record }: Container, target: string): void {
  const mount = record.mounts
    // Of a stopped container there is no tmpfs: it is the root that would be written to.
    .filter(({ type }) => type !== 'tmpfs' || isRunning(record))
    .filter(({ destination }) => target === destination || target.startsWith(`${destination}/`))
    .toSorted((a, b) => b.destination.length - a.destination.length)[0];
  if (mount !== undefined && !mount.readWrite) throw forbidden('mounted volume is marked read-only');
  if (mount === undefined && record.hostConfig.ReadonlyRootfs === true) {
    throw forbidden('container rootfs is marked read-only');
  }
}
