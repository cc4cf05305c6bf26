import type { SystemInfo } from '#/wire/generated.ts';
import type { ApiVersion } from '../version.ts';

type Info = SystemInfo & Record<string, unknown>;
type Quirk = (info: Info) => Info;

/** The firewall is told of since API 1.49; the commits that dockerd was built for, before. */
const expectedCommits: Quirk = ({ FirewallBackend: _since, ...info }) => ({
  ...info,
  ContainerdCommit: { ...info.ContainerdCommit, Expected: info.ContainerdCommit?.ID },
  RuncCommit: { ...info.RuncCommit, Expected: info.RuncCommit?.ID },
  InitCommit: { ...info.InitCommit, Expected: info.InitCommit?.ID },
});

const foreignLayers: Quirk = (info) => ({
  ...info,
  RegistryConfig: {
    AllowNondistributableArtifactsCIDRs: null,
    AllowNondistributableArtifactsHostnames: null,
    ...info.RegistryConfig,
  },
});

/** By the version that dropped or brought what it is about (moby's daemon/server/router/system/system_routes.go, getInfo). */
const QUIRKS: readonly (readonly [version: string, quirk: Quirk])[] = [
  ['1.52', (info) => ({ ...info, KernelMemoryTCP: false })],
  ['1.50', (info) => ({ ...info, BridgeNfIptables: false, BridgeNfIp6tables: false })],
  ['1.49', expectedCommits],
  ['1.49', foreignLayers],
  // The docker CLI of before API 1.42 reads it.
  ['1.42', (info) => ({ ...info, KernelMemory: false })],
];

/** `GET /info` as a client of this version knows it. */
export function adaptInfo(info: SystemInfo, version: ApiVersion): object {
  return QUIRKS.filter(([before]) => version.below(before)).reduce<Info>(
    (adapted, [, quirk]) => quirk(adapted),
    { ...info },
  );
}
