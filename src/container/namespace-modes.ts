import { invalid } from '#/base/errors.ts';

/** Whose namespace a container gets: its own, the host's, or another container's. */
export type NamespaceMode = { kind: 'private' } | { kind: 'host' } | { kind: 'container'; reference: string };

/** Reads `PidMode` and `UTSMode`; `what` names the option in the error, in Docker's words. */
export function parseNamespaceMode(what: 'PID' | 'UTS', mode: string | undefined): NamespaceMode {
  if (mode === undefined || mode === '' || mode === 'private') return { kind: 'private' };
  if (mode === 'host') return { kind: 'host' };
  const reference = what === 'PID' ? containerOf(mode) : undefined;
  if (reference !== undefined) return { kind: 'container', reference };
  throw invalid(`invalid ${what} mode: ${mode}`);
}

/**
 * What `IpcMode` asks for: a namespace of its own without /dev/shm (`none`), with one that is in nobody else's reach
 * (`private`) or that others may join (`shareable`), the host's, or another container's.
 */
export type IpcMode =
  | { kind: 'none' }
  | { kind: 'private' }
  | { kind: 'shareable' }
  | { kind: 'host' }
  | { kind: 'container'; reference: string };

export function parseIpcMode(mode: string | undefined): IpcMode {
  switch (mode) {
    case undefined:
    case '':
    case 'private':
      return { kind: 'private' };
    case 'none':
    case 'shareable':
    case 'host':
      return { kind: mode };
    default: {
      const reference = containerOf(mode);
      if (reference === undefined) throw invalid(`invalid IPC mode: ${mode}`);
      return { kind: 'container', reference };
    }
  }
}

function containerOf(mode: string): string | undefined {
  return /^container:(.+)$/.exec(mode)?.[1];
}

/** What `NetworkMode` asks for. */
export type NetworkMode =
  | { kind: 'network'; name: string }
  | { kind: 'host' }
  | { kind: 'none' }
  | { kind: 'container'; reference: string };

export function parseNetworkMode(mode: string | undefined): NetworkMode {
  if (mode === undefined || mode === '' || mode === 'default' || mode === 'bridge') {
    return { kind: 'network', name: 'bridge' };
  }
  if (mode === 'host' || mode === 'none') return { kind: mode };
  if (mode.startsWith('container:')) {
    const reference = mode.slice('container:'.length);
    if (reference === '') throw invalid('Invalid network mode: invalid container format container:<name|id>');
    return { kind: 'container', reference };
  }
  return { kind: 'network', name: mode };
}
