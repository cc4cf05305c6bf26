import { existsSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { internal, invalid } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { cgroupsPathOf } from '#/container/create/cgroup-parent.ts';
import type { CgroupLayout } from '#/host/cgroup-layout.ts';
import type { Trash } from '#/host/trash.ts';
import { MicrovmRuntime } from '#/runtime/microvm/microvm-runtime.ts';
import { OciRuntime } from '#/runtime/oci/oci-runtime.ts';
import { chooseRuntime } from '#/runtime/oci/prepare-host.ts';
import type { Runtime } from '#/runtime/runtime.ts';
import type { CgroupPlace } from './cgroup-driver.ts';
import type { DaemonConfig } from './daemon-config.ts';

export interface RuntimePlaces {
  layout: CgroupLayout;
  cgroups: CgroupPlace;
  logger: Logger;
  trash: Trash;
}

// In the order of preference: crun starts a container in a third of runc's time.
const OCI_RUNTIMES = ['crun', 'runc'];
/** The runtime whose containers have a kernel of their own. */
export const VM_RUNTIME = 'vm';
/** More do not make a small guest faster, and each takes threads of the host. */
const MOST_CPUS = 8;
/** Debian's package tini has the static one under this name. */
const INIT_PATHS = ['/usr/bin/tini-static', '/usr/bin/docker-init', '/usr/libexec/docker/docker-init'];

/** The runtimes that containers may name, the default one first. */
export async function openRuntimes(
  config: DaemonConfig,
  { layout, cgroups, logger, trash }: RuntimePlaces,
): Promise<ReadonlyMap<string, Runtime>> {
  const monitor = builtProgram('hull-monitor');
  if (!existsSync(monitor))
    throw internal(`Cannot find the monitor "${monitor}": build it with "npm run build"`);
  const root = path.join(config.execRoot, 'runtime');
  const make = (name: string, binary: string): OciRuntime =>
    new OciRuntime({ name, binary, monitor, root: path.join(root, name), logger, trash, layout });
  const builtIn = OCI_RUNTIMES.map((name) => make(name, name));
  const added = Object.entries(config.runtimes).map(([name, runtime]) => make(name, runtime.path));
  const known = new Map<string, Runtime>([...builtIn, ...added].map((runtime) => [runtime.name, runtime]));
  const working = await chooseRuntime(builtIn, cgroups.driver === 'systemd', logger);
  if (working !== undefined) known.set(VM_RUNTIME, microvms(config, working, cgroups, logger));
  const wanted = config.defaultRuntime;
  if (wanted !== undefined && !known.has(wanted)) {
    throw invalid(`specified default runtime '${wanted}' does not exist`);
  }
  const chosen = wanted === undefined ? working : known.get(wanted);
  if (chosen === undefined) throw internal('Cannot run containers: neither crun nor runc works on this host');
  known.delete(chosen.name);
  return new Map([[chosen.name, chosen], ...known]);
}

function microvms(
  { dataRoot, execRoot, vm, container }: DaemonConfig,
  sandboxes: Runtime,
  cgroups: CgroupPlace,
  logger: Logger,
): MicrovmRuntime {
  return new MicrovmRuntime(VM_RUNTIME, {
    sources: {
      kernelDirectory: vm.kernelDirectory ?? builtProgram('vm'),
      agent: builtProgram('hull-agent'),
      hullVm: builtProgram('hull-vm'),
      ramLibrary: builtProgram('hull-vm-ram.so'),
      trimLibrary: builtProgram('hull-vm-trim.so'),
      init: initProgram(container.initPath),
    },
    directory: vmDirectory(dataRoot),
    runDirectory: path.join(execRoot, 'vm'),
    sandboxes,
    accelerator: vm.accelerator,
    snapshots: vm.snapshots,
    memory: vm.memory,
    cpus: Math.min(os.availableParallelism(), MOST_CPUS),
    cgroupsPath: (id) => cgroupsPathOf(id, cgroups.parent, cgroups.driver),
    architecture: process.arch,
    kernel: os.release(),
    logger,
  });
}

/** Where what microVMs run from is kept. */
export function vmDirectory(dataRoot: string): string {
  return path.join(dataRoot, 'vm');
}

/** The static init program for containers that want one: the configured one, or what the host has. */
export function initProgram(configured: string | undefined): string | undefined {
  return [configured, ...INIT_PATHS].find((file) => file !== undefined && isFile(file));
}

/** A program in dist/: beside the bundle, or where the build puts it when this runs as TypeScript. */
export function builtProgram(name: string): string {
  const directory = typeof __dirname === 'string' ? __dirname : path.join(import.meta.dirname, '../../dist');
  return path.join(directory, name);
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}
