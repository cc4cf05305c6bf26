import type { DaemonConfig } from './daemon-config.ts';

/** What a reloaded configuration says, as the attributes of the event that tells of it (moby's daemon/reload.go). */
export function reloadAttributes(config: DaemonConfig, runtime: string): Record<string, string> {
  return {
    debug: String(config.debug),
    'default-ipc-mode': config.container.ipcMode,
    'default-runtime': runtime,
    'default-shm-size': String(config.container.shmSize),
    'insecure-registries': JSON.stringify(config.insecureRegistries),
    labels: JSON.stringify(config.labels),
    'live-restore': String(config.liveRestore),
    'registry-mirrors': JSON.stringify(config.registryMirrors),
    runtimes: JSON.stringify(config.runtimes),
    'shutdown-timeout': String(config.shutdownTimeout),
  };
}
