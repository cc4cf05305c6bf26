import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { invalid, notImplemented } from '#/base/errors.ts';
import { listMounts } from '#/host/mounts.ts';
import { makeNetnsIn, makeUserNamespace, removeNamespace } from '#/host/user-namespaces.ts';
import { type IdMapping, kernelMap, mappedRoot, mappingKey, type Owner } from '#/oci/id-mapping.ts';
import type { HostConfig } from '#/wire/generated.ts';

export interface UserNamespaceOptions {
  /** hull-namespaces. */
  program: string;
  /** Where the files that keep namespaces are. */
  directory: string;
  /** What every container gets that does not opt out: the daemon's `--userns-remap`. */
  daemon: IdMapping | undefined;
  /** What a container gets that opts in where the daemon has none. */
  own: () => Promise<IdMapping>;
  /** `major.minor…`, as uname says it. */
  kernel: string;
  /** The engine's directories, on the way to what containers have mounted. */
  roots: readonly string[];
}

/**
 * User namespaces: whose a container gets, and the files that keep them. A mapping has one for the mounts that show image layers with
 * mapped owners, kept as long as the engine is used; each container has one of its own beside it, which owns its network namespace.
 */
export class UserNamespaces {
  readonly #options: UserNamespaceOptions;
  readonly #kept = new Map<string, Promise<string>>();

  constructor(options: UserNamespaceOptions) {
    this.#options = options;
  }

  /** The mapping of a new container; `joined` is that of the container whose namespaces it shares. Throws in Docker's words. */
  async mappingFor(host: HostConfig, joined: IdMapping | undefined): Promise<IdMapping | undefined> {
    const mapping = await this.#mapping(host.UsernsMode ?? '', joined);
    if (mapping === undefined) return undefined;
    refuseConflicts(host);
    this.refuseImpossible(mapping);
    return mapping;
  }

  #mapping(mode: string, joined: IdMapping | undefined): IdMapping | undefined | Promise<IdMapping> {
    const { daemon, own } = this.#options;
    if (mode === 'host') return undefined;
    if (mode === '') return daemon ?? joined;
    if (mode === 'private') return daemon ?? own();
    throw invalid(`invalid user namespace mode: ${mode}`);
  }

  /** Whether every container gets one that does not opt out. */
  get isDefault(): boolean {
    return this.#options.daemon !== undefined;
  }

  /**
   * The kernel must be able to, and every directory on the way to what is mounted must let the namespace's root pass (moby's
   * daemon/daemon_unix.go, canAccess()).
   */
  refuseImpossible(mapping: IdMapping): void {
    refuseOldKernel(this.#options.kernel);
    const root = mappedRoot(mapping);
    for (const directory of this.#options.roots) {
      // Our own may be opened, to that root alone; those above are somebody else's.
      if (!mayPass(directory, root)) admit(directory, mapping);
      for (let at = directory; at !== '/'; at = path.dirname(at)) {
        if (mayPass(at, root)) continue;
        throw invalid(
          `a subdirectory in your graphroot path (${directory}) restricts access to the remapped root uid/gid; please fix by allowing 'o+x' permissions on existing directories`,
        );
      }
    }
  }

  /** The file of the namespace that stands for a mapping. */
  keep(mapping: IdMapping): Promise<string> {
    const key = mappingKey(mapping);
    let kept = this.#kept.get(key);
    if (kept === undefined) {
      kept = this.#keep(path.join(this.#options.directory, key), mapping);
      this.#kept.set(key, kept);
      kept.catch(() => this.#kept.delete(key));
    }
    return kept;
  }

  async #keep(file: string, mapping: IdMapping): Promise<string> {
    if (!listMounts().some(({ target }) => target === file)) await this.make(mapping, { user: file });
    return file;
  }

  /** Makes a container's own, and with `network` the network namespace that belongs to it. */
  async make(mapping: IdMapping, files: { user: string; network?: string }): Promise<void> {
    this.refuseImpossible(mapping);
    for (const file of Object.values(files)) mkdirSync(path.dirname(file), { recursive: true, mode: 0o711 });
    const maps = { uids: kernelMap(mapping.uids), gids: kernelMap(mapping.gids) };
    await makeUserNamespace(this.#options.program, maps, files);
  }

  /** Makes a network namespace that belongs to another container's user namespace. */
  async makeNetns(user: string, network: string): Promise<void> {
    mkdirSync(path.dirname(network), { recursive: true, mode: 0o711 });
    await makeNetnsIn(this.#options.program, user, network);
  }

  /** For an engine that ends while no container runs. */
  forgetAll(): void {
    for (const { target } of listMounts()) {
      if (path.dirname(target) === this.#options.directory) removeNamespace(target);
    }
  }
}

/** moby's daemon/daemon_unix.go, verifyPlatformContainerSettings(). */
function refuseConflicts({ Privileged, NetworkMode, PidMode }: HostConfig): void {
  if (Privileged) {
    throw invalid(
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
    );
  }
  if (NetworkMode === 'host') {
    throw invalid("cannot share the host's network namespace when user namespaces are enabled");
  }
  if (PidMode === 'host') {
    throw invalid('cannot share the host PID namespace when user namespaces are enabled');
  }
}

/** overlayfs takes layers with mapped owners, and EROFS maps them, since Linux 5.19. */
function refuseOldKernel(kernel: string): void {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  if (major > 5 || (major === 5 && minor >= 19)) return;
  throw notImplemented(
    `user namespaces need a kernel that maps the owners of mounted layers, Linux 5.19 or later; this is ${kernel}`,
  );
}

function mayPass(directory: string, { uid, gid }: Owner): boolean {
  const stat = statSync(directory);
  if ((stat.mode & 0o001) !== 0) return true;
  return (stat.uid === uid && (stat.mode & 0o100) !== 0) || (stat.gid === gid && (stat.mode & 0o010) !== 0);
}

/** Lets the root of a mapping pass a directory of the engine's, and nobody else. */
export function admit(directory: string, mapping: IdMapping): void {
  const { mode, uid } = statSync(directory);
  chownSync(directory, uid, mappedRoot(mapping).gid);
  chmodSync(directory, (mode & 0o7777) | 0o010);
}
