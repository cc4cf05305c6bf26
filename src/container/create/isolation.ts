import { invalid, notImplemented } from '#/base/errors.ts';
import type { Runtime } from '#/runtime/runtime.ts';
import type { HostConfig } from '#/wire/generated.ts';
import { parseIpcMode, parseNamespaceMode } from '../namespace-modes.ts';

/**
 * The runtime behind which a container is to be isolated: the one that is named, else what `--isolation` asks for: `vm` is a kernel of
 * its own, `container` the host's; else the daemon's. Throws `invalid` for an unknown word and for two that contradict each other.
 */
export function isolatedRuntime(
  { Runtime: named, Isolation: isolation }: HostConfig,
  runtimes: ReadonlyMap<string, Runtime>,
  usual: string,
): string {
  if (named && !runtimes.has(named)) throw invalid(`unknown or invalid runtime name: ${named}`);
  if (!isolation || isolation === 'default') return named || usual;
  if (isolation !== 'vm' && isolation !== 'container') {
    throw invalid(
      `invalid isolation (${isolation}): linux only supports 'default', and Hull 'container' and 'vm'`,
    );
  }
  const fits = (name: string): boolean => hasOwnKernel(runtimes.get(name)) === (isolation === 'vm');
  if (named && !fits(named)) {
    throw invalid(`conflicting options: isolation ${isolation} and the runtime ${named}`);
  }
  const chosen = [named ?? '', usual, ...runtimes.keys()].find((name) => name !== '' && fits(name));
  if (chosen === undefined) throw invalid(`no runtime isolates by ${isolation} here`);
  return chosen;
}

export function hasOwnKernel(runtime: Runtime | undefined): boolean {
  return runtime?.guestKernel !== undefined;
}

/** What needs the host's kernel, of a container that has its own. Throws `notImplemented` and says why. */
export function refuseHostKernelOptions(host: HostConfig): void {
  const refuse = (option: string, why: string): never => {
    throw notImplemented(`a microVM cannot have ${option}: ${why}`);
  };
  const shared = "a guest's processes are not the host kernel's";
  if (parseNamespaceMode('PID', host.PidMode).kind !== 'private') refuse(`--pid ${host.PidMode}`, shared);
  const ipc = parseIpcMode(host.IpcMode).kind;
  if (ipc === 'host' || ipc === 'container') refuse(`--ipc ${host.IpcMode}`, shared);
  if (parseNamespaceMode('UTS', host.UTSMode).kind !== 'private') refuse('--uts host', shared);
  if (host.Devices?.length || host.DeviceCgroupRules?.length || host.DeviceRequests?.length) {
    refuse('devices of the host', 'the guest sees only those that QEMU makes for it');
  }
}

/**
 * In what a microVM has of the host its root is the host's. Throws `notImplemented` for such mounts of one that is to have a user namespace,
 * which keeps a container's root apart there too.
 */
export function refuseUnmappedShares(mounts: readonly { type: string; destination: string }[]): void {
  const shared = mounts.find(({ type }) => type === 'bind' || type === 'volume');
  if (shared === undefined) return;
  throw notImplemented(
    `a microVM in a user namespace cannot have ${shared.destination} of the host: its root would be the host's there (--userns=host allows it)`,
  );
}
