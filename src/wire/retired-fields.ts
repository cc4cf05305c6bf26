import type { WireSchema } from './generated-schemas.ts';

/** Limits that the newest description no longer lists. `KernelMemory` went with API 1.42. */
export interface RetiredResources {
  /** Bytes. */
  KernelMemory?: number;
  /** Bytes of TCP buffers. */
  KernelMemoryTCP?: number;
}

/** The hardware address before it became an endpoint's (API 1.44). */
export interface RetiredContainerConfig {
  MacAddress?: string;
}

/** What older clients still send, by structure of the description: decoded like the rest. */
export const RETIRED_FIELDS: Record<string, Record<string, WireSchema>> = {
  ContainerCreateBody: { MacAddress: 'string' },
  ContainerUpdateBody: { KernelMemory: 'int64', KernelMemoryTCP: 'int64' },
  HostConfig: { KernelMemory: 'int64', KernelMemoryTCP: 'int64' },
};
