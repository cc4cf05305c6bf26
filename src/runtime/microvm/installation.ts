import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { unavailable } from '#/base/errors.ts';
import { guestInitramfs } from './initramfs.ts';
import { QEMU_PROGRAM } from './qemu-command.ts';
import { makeSandboxRoot, type SandboxFile } from './sandbox-root.ts';

/** What microVMs are made of, on this host. */
export interface VmSources {
  /** Holds `vmlinux`, `release`, and `modules/` with their `order`. */
  kernelDirectory: string;
  /** hull-agent, hull-vm and its libraries. */
  agent: string;
  hullVm: string;
  ramLibrary: string;
  trimLibrary: string;
  /** A static init program, for containers that want one. */
  init: string | undefined;
}

/** A directory with all that a microVM runs from; never changed once it is there, so that what runs and what is saved keeps what it began with. */
export interface VmInstallation {
  directory: string;
  /** The sandboxes' root filesystem. */
  root: string;
  /** The guest kernel's release: `6.1.0-56-cloud-amd64`. */
  kernelRelease: string;
  /** The plugin of QEMU's translator in the root, if this QEMU takes it. */
  trimLibrary?: string;
}

export const SANDBOX = {
  hullVm: '/hull-vm',
  ramLibrary: '/hull-vm-ram.so',
  trimLibrary: '/hull-vm-trim.so',
  kernel: '/guest/vmlinux',
  initramfs: '/guest/initrd',
  firmware: '/usr/share/qemu',
  virtiofsd: '/usr/bin/virtiofsd',
} as const;

/** QEMU loads its emulator from here; Debian's place. */
const QEMU_MODULES = '/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so';
const FIRMWARE = ['/usr/share/qemu/bios-microvm.bin', '/usr/share/qemu/linuxboot_dma.bin'];
/** Debian 12's, and where those are who have it from its own project. */
const VIRTIOFSD = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];

/**
 * The installation in `directory` that is made from these sources as they are now; made when it is not there. What sources that are no
 * more have left is removed, unless it is in use.
 */
export async function openInstallation(
  directory: string,
  sources: VmSources,
  inUse: (installation: string) => boolean,
): Promise<VmInstallation> {
  const files = sandboxFiles(sources);
  const inputs = [
    ...files.map(({ from }) => from),
    sources.agent,
    sources.init ?? '',
    kernelFile(sources, 'modules/order'),
  ];
  const name = createHash('sha256').update(inputs.map(fingerprint).join('\n')).digest('hex').slice(0, 16);
  const target = path.join(directory, name);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  if (!existsSync(target)) {
    const unfinished = `${target}.${process.pid}`;
    rmSync(unfinished, { recursive: true, force: true });
    const root = path.join(unfinished, 'root');
    await makeSandboxRoot(
      root,
      takesPlugin(QEMU_PROGRAM) ? files : files.filter(({ to }) => to !== SANDBOX.trimLibrary),
    );
    writeFileSync(
      path.join(root, SANDBOX.initramfs),
      guestInitramfs(sources.agent, sources.kernelDirectory, sources.init),
    );
    renameSync(unfinished, target);
  }
  for (const other of readdirSync(directory)) {
    const file = path.join(directory, other);
    if (file !== target && !inUse(file)) rmSync(file, { recursive: true, force: true });
  }
  const root = path.join(target, 'root');
  return {
    directory: target,
    root,
    kernelRelease: kernelRelease(sources),
    ...(existsSync(path.join(root, SANDBOX.trimLibrary)) ? { trimLibrary: SANDBOX.trimLibrary } : {}),
  };
}

/** The release of the kernel that guests have. Throws `unavailable` without one. */
export function kernelRelease(sources: VmSources): string {
  try {
    return readFileSync(kernelFile(sources, 'release'), 'utf8').trim();
  } catch (error) {
    throw missing(kernelFile(sources, 'release'), error);
  }
}

/** Throws `unavailable`, and says what to install, when something is not there. */
function sandboxFiles(sources: VmSources): SandboxFile[] {
  const virtiofsd = VIRTIOFSD.find((file) => existsSync(file));
  const files: SandboxFile[] = [
    { from: QEMU_PROGRAM, to: QEMU_PROGRAM, program: true },
    { from: sources.hullVm, to: SANDBOX.hullVm, closed: true },
    { from: sources.ramLibrary, to: SANDBOX.ramLibrary },
    { from: sources.trimLibrary, to: SANDBOX.trimLibrary },
    { from: kernelFile(sources, 'vmlinux'), to: SANDBOX.kernel },
    ...FIRMWARE.map((file) => ({ from: file, to: file })),
    ...(existsSync(QEMU_MODULES) ? [{ from: QEMU_MODULES, to: QEMU_MODULES }] : []),
    ...(virtiofsd === undefined ? [] : [{ from: virtiofsd, to: SANDBOX.virtiofsd, program: true }]),
  ];
  const absent = files.find(({ from }) => !existsSync(from));
  if (absent !== undefined) throw missing(absent.from);
  return files;
}

/** Plugins of the interface's first version: a QEMU may be built without, and one that has scoreboards wants the second (QEMU 9). */
function takesPlugin(qemu: string): boolean {
  const code = readFileSync(qemu);
  return code.includes('qemu_plugin_uninstall') && !code.includes('qemu_plugin_scoreboard_new');
}

function missing(file: string, cause?: unknown): Error {
  return unavailable(
    `Cannot run microVMs: "${file}" is missing (package qemu-system-x86; the kernel comes with scripts/install-kernel.sh)`,
    { cause },
  );
}

function kernelFile({ kernelDirectory }: VmSources, name: string): string {
  return path.join(kernelDirectory, name);
}

function fingerprint(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? `${file} -` : `${file} ${stat.size} ${stat.mtimeMs}`;
}
