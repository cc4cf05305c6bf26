import { invalid } from '#/base/errors.ts';

/** Whose namespace a container gets: its own, the host's, or another container's. */
export type NamespaceMode = { kind: 'private' } | { kind: 'host' } | { kind: 'container'; reference: string };

/** Reads `PidMode`, `IpcMode`, `UTSMode`, …; `what` names the option in the error, in Docker's words. */
export function parseNamespaceMode(what: string, mode: string | undefined): NamespaceMode {
  if (mode === undefined || mode === '' || mode === 'private' || mode === 'shareable')
    return { kind: 'private' };
  if (mode === 'host') return { kind: 'host' };
  const reference = /^container:(.+)$/.exec(mode)?.[1];
  if (reference !== undefined && what !== 'UTS') return { kind: 'container', reference };
  throw invalid(`invalid ${what} mode: ${mode}`);
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
