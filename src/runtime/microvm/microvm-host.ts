import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errnoCode, internal, messageOf } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { run } from '#/host/process.ts';
import type { Runtime } from '../runtime.ts';
import { openInstallation, type VmInstallation, type VmSources } from './installation.ts';
import type { Accelerator, Machine } from './qemu-command.ts';
import { Templates } from './templates.ts';

export interface MicrovmHostOptions {
  sources: VmSources;
  /** Where installations and saved guests are kept. */
  directory: string;
  /** On a tmpfs, for guests while they are saved. */
  runDirectory: string;
  /** Runs the sandboxes. */
  sandboxes: Runtime;
  accelerator: Accelerator | 'auto';
  /** Whether starts go on from a saved guest. */
  snapshots: boolean;
  cpus: number;
  /** Bytes of memory of a guest whose container has no limit. */
  memory: number;
  cgroupsPath: (id: string) => string;
  architecture: string;
  /** The host's kernel. */
  kernel: string;
  logger: Logger;
}

/** What every microVM of this engine is made of, once it is known. */
export interface MicrovmHost {
  installation: VmInstallation;
  accelerator: Accelerator;
  templates: Templates | undefined;
  tscKhz: number;
}

/** How guests run here, and why. */
export interface AcceleratorVerdict {
  accelerator: Accelerator;
  reason: string;
}

interface KeptVerdict extends AcceleratorVerdict {
  /** What it was found out with: another kernel or QEMU may do better. */
  key: string;
}

const KVM = '/dev/kvm';
const VERDICT_FILE = 'accelerator.json';

/** Prepares the installation, and finds out whether KVM works here: by booting a guest, for the device alone says little. */
export async function openMicrovmHost(
  options: MicrovmHostOptions,
  inUse: (installation: string) => boolean,
): Promise<MicrovmHost> {
  const { directory, logger } = options;
  mkdirSync(options.runDirectory, { recursive: true, mode: 0o711 });
  const installation = await openInstallation(path.join(directory, 'installed'), options.sources, inUse);
  const tscKhz = await timeStampCounterKhz(options.sources.hullVm);
  const templates = new Templates({
    installation,
    runtime: options.sandboxes,
    directory: options.runDirectory,
    cgroupsPath: options.cgroupsPath,
    tscKhz,
    architecture: options.architecture,
    kernel: options.kernel,
    logger,
  });
  const { accelerator, reason } = await chooseAccelerator(options, installation, templates);
  logger.info('MicroVMs', { accelerator, reason, kernel: installation.kernelRelease });
  return { installation, accelerator, tscKhz, templates: options.snapshots ? templates : undefined };
}

/** The verdict that is known, for those who only show it. */
export function knownVerdict(directory: string): AcceleratorVerdict | undefined {
  return readVerdict(directory);
}

async function chooseAccelerator(
  { accelerator, directory, kernel, cpus, memory }: MicrovmHostOptions,
  installation: VmInstallation,
  templates: Templates,
): Promise<AcceleratorVerdict> {
  if (accelerator !== 'auto') return { accelerator, reason: 'as configured' };
  const key = `${kernel} ${path.basename(installation.directory)}`;
  const kept = readVerdict(directory);
  if (kept?.key === key) return kept;
  const verdict = existsSync(KVM)
    ? await tryKvm(templates, { accelerator: 'kvm', cpus, memory })
    : { accelerator: 'tcg' as const, reason: `there is no ${KVM}` };
  writeFileSync(path.join(directory, VERDICT_FILE), JSON.stringify({ ...verdict, key }));
  return verdict;
}

async function tryKvm(templates: Templates, machine: Machine): Promise<AcceleratorVerdict> {
  try {
    await templates.get(machine);
    return { accelerator: 'kvm', reason: 'a guest boots with it' };
  } catch (error) {
    return { accelerator: 'tcg', reason: `no guest boots with ${KVM}: ${messageOf(error)}` };
  }
}

function readVerdict(directory: string): KeptVerdict | undefined {
  try {
    return JSON.parse(readFileSync(path.join(directory, VERDICT_FILE), 'utf8')) as KeptVerdict;
  } catch (error) {
    if (error instanceof SyntaxError || errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Ticks of the time stamp counter in a millisecond, which an emulated guest shares with the host. */
async function timeStampCounterKhz(hullVm: string): Promise<number> {
  const { code, stdout } = await run(hullVm, ['tsc'], { timeoutMs: 10_000 });
  const khz = Number(stdout.toString());
  if (code !== 0 || !Number.isInteger(khz)) throw internal(`"${hullVm} tsc" ended with ${code}`);
  return khz;
}
