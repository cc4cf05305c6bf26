import os from 'node:os';
import type { SystemVersion } from '#/wire/generated.ts';
import { NEWEST_VERSION, OLDEST_VERSION } from './version.ts';

/** Hull's own version: what `--version`, `GET /version` and the Server header say. */
export const HULL_VERSION = '0.1.0';

/** Go's names of the architectures, which the API speaks. */
const GO_ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64', ia32: '386' };

export function goArchitecture(): string {
  return GO_ARCHITECTURES[process.arch] ?? process.arch;
}

/** `GET /version`. Clients print what they find and depend on the API versions only. */
export function engineVersion({ experimental = false } = {}): SystemVersion {
  const common = {
    ApiVersion: NEWEST_VERSION,
    MinAPIVersion: OLDEST_VERSION,
    GitCommit: process.env['HULL_GIT_COMMIT'] ?? '',
    GoVersion: `node${process.versions.node}`,
    Os: 'linux',
    Arch: goArchitecture(),
    KernelVersion: os.release(),
    BuildTime: process.env['HULL_BUILD_TIME'] ?? '',
  };
  return {
    Platform: { Name: 'Hull' },
    Components: [
      { Name: 'Engine', Version: HULL_VERSION, Details: { ...common, Experimental: String(experimental) } },
    ],
    Version: HULL_VERSION,
    ...common,
    ...(experimental ? { Experimental: true } : {}),
  };
}
