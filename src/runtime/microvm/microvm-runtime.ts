import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { conflict, errnoCode, internal } from '#/base/errors.ts';
import { mountTmpfs } from '#/host/mounts.ts';
import { ownLimits } from '#/host/own-limits.ts';
import { compileSeccomp } from '#/host/seccomp-bpf.ts';
import type { RuntimeResources, RuntimeSeccomp } from '#/oci/runtime-spec.ts';
import type { CreateTaskOptions, OpenFiles, OpenFilesOptions, Runtime, Task } from '../runtime.ts';
import { takeNetwork } from './guest-network.ts';
import { kernelRelease, SANDBOX } from './installation.ts';
import { guestMemory, sandboxMemory, wholeSandboxMemory } from './memory-size.ts';
import { MicrovmTask, removeShared, VM_FILE, type VmFile } from './microvm-task.ts';
import { type MicrovmHost, type MicrovmHostOptions, openMicrovmHost } from './microvm-host.ts';
import type { Machine } from './qemu-command.ts';
import { qemuSeccomp } from './qemu-seccomp.ts';
import { sandboxSpec } from './sandbox-spec.ts';
import { endStraySandboxes, noteSandbox } from './stray-sandboxes.ts';
import { copyDisk, readCheckpoint } from './vm-checkpoint.ts';
import { planVm, RAM_FILE } from './vm-plan.ts';

/** Sockets' paths are short. */
const SHORT_ID = 12;
const HULL_VM_FILE = '/run/hull-vm';
/** What hull-vm needs until QEMU runs: to open what is the host's, to take QEMU's network away, to become somebody else for good. */
const STARTING_CAPABILITIES = [
  'CAP_DAC_OVERRIDE',
  'CAP_NET_ADMIN',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_ADMIN',
];
/** What virtiofsd needs besides, to make files for whoever in the guest asks. */
const SHARING_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_MKNOD',
  'CAP_SETFCAP',
  'CAP_SYS_CHROOT',
];
const SHARED_FILES = 2 ** 20;
const NO_NETWORK = { interfaces: [], routes: [] };
/** More than QEMU has, and virtiofsd, and a hull-vm for each of 1024 execs. */
const MOST_THREADS = 2048;

/**
 * Runs each container as a microVM: QEMU under hull-vm, in a sandbox that is an OCI container under the same monitor. So stdio, logs, exits and
 * what outlives the engine are the containers' own code; this one says what the sandbox and the guest are.
 */
export class MicrovmRuntime implements Runtime {
  readonly name: string;
  readonly program: string;
  readonly #options: MicrovmHostOptions;
  readonly #filters = new Map<string, Buffer>();
  /** The tmpfs of the tasks that this engine knows. */
  readonly #shared = new Set<string>();
  /** What running VMs began with, which their execs still need. */
  readonly #inUse = new Set<string>();
  #host: Promise<MicrovmHost> | undefined;

  constructor(name: string, options: MicrovmHostOptions) {
    this.name = name;
    this.program = options.sandboxes.program;
    this.#options = options;
  }

  guestKernel(): string {
    return kernelRelease(this.#options.sources);
  }

  create(options: CreateTaskOptions): Promise<Task> {
    return this.#create(options, { hold: false });
  }

  async #create(options: CreateTaskOptions, { hold }: { hold: boolean }): Promise<MicrovmTask> {
    const { id, bundle, spec, directory, io, checkpoint } = options;
    if (options.guest === undefined) throw internal(`Nothing says what disks the microVM "${id}" has`);
    const host = await this.#open();
    const from = checkpoint === undefined ? undefined : openCheckpoint(checkpoint, host);
    const machine: Machine = from?.saved.machine ?? {
      accelerator: host.accelerator,
      cpus: this.#options.cpus,
      memory: guestMemory(spec.linux.resources?.memory?.limit, this.#options.memory),
    };
    const template = from === undefined ? await host.templates?.get(machine) : undefined;
    const { top } = options.guest;
    const restored = `${top}.restored`;
    rmSync(restored, { force: true });
    const guest = from === undefined ? options.guest : { ...options.guest, top: restored };
    const owner = ownerOf(id);
    const shared = path.join(this.#options.runDirectory, id.slice(0, SHORT_ID));
    removeShared(shared);
    mkdirSync(shared, { recursive: true, mode: 0o700 });
    this.#shared.add(shared);
    // The container's own, from which its execs are made; the sandbox has one beside it.
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 });
    const sandboxBundle = path.join(bundle, 'sandbox');
    mkdirSync(sandboxBundle, { recursive: true, mode: 0o700 });
    // What hull-vm and QEMU may fill, and no more.
    mountTmpfs(shared, { size: 1 << 20, mode: 0o700 });
    try {
      chownSync(shared, owner.uid, owner.gid);
      if (from !== undefined) await copyDisk(from.disk, restored);
      const netns = spec.linux.namespaces.find(({ type }) => type === 'network')?.path;
      const network = guest.network ?? (netns === undefined ? NO_NETWORK : takeNetwork(netns));
      const filter = spec.linux.seccomp && this.#filter(spec.linux.seccomp);
      const plan = planVm({
        hold,
        spec,
        guest,
        io,
        machine,
        template,
        checkpoint: from?.state,
        owner,
        network,
        filter,
        qemuFilter: this.#filter(qemuSeccomp(this.#options)),
        tscKhz: host.tscKhz,
        trimLibrary: host.installation.trimLibrary,
      });
      const file = path.join(bundle, 'hull-vm');
      writeFileSync(file, plan.file, { mode: 0o600 });
      const vm: VmFile = {
        installation: host.installation.directory,
        shared,
        owner,
        ...machine,
        shares: plan.shares,
        top,
        ...(from === undefined ? {} : { restored }),
        filter: filter?.toString('base64') ?? '',
      };
      writeFileSync(path.join(directory, VM_FILE), JSON.stringify(vm), { mode: 0o600 });
      const sandbox = sandboxSpec({
        root: host.installation.root,
        args: [SANDBOX.hullVm, 'run', HULL_VM_FILE],
        env: [`HULL_RAM=${RAM_FILE}`],
        owner: { uid: 0, gid: 0 },
        capabilities: plan.shares
          ? [...STARTING_CAPABILITIES, ...SHARING_CAPABILITIES]
          : STARTING_CAPABILITIES,
        files: [
          { to: HULL_VM_FILE, from: file },
          { to: '/run/vm', from: shared, writable: true },
          ...plan.mounts,
        ],
        ...(plan.shares ? { openFiles: mostOpenFiles() } : {}),
        accelerator: machine.accelerator,
        shares: plan.shares,
        ...(netns === undefined ? {} : { netns }),
        cgroupsPath: spec.linux.cgroupsPath ?? '',
        resources: sandboxResources(spec.linux.resources, machine),
        terminal: io.terminal,
        ...(spec.process.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.process.oomScoreAdj }),
        architecture: this.#options.architecture,
        kernel: this.#options.kernel,
      });
      const outer = await this.#options.sandboxes.create({
        id,
        bundle: sandboxBundle,
        spec: sandbox,
        directory,
        io,
      });
      return new MicrovmTask(outer, directory, vm, this.#options.logger);
    } catch (error) {
      removeShared(shared);
      rmSync(restored, { force: true });
      throw error;
    }
  }

  async load(id: string, directory: string): Promise<Task | undefined> {
    let vm: VmFile;
    try {
      vm = JSON.parse(readFileSync(path.join(directory, VM_FILE), 'utf8')) as VmFile;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    this.#shared.add(vm.shared);
    this.#inUse.add(vm.installation);
    const outer = await this.#options.sandboxes.load(id, directory);
    if (outer === undefined) return undefined;
    const task = new MicrovmTask(outer, directory, vm, this.#options.logger);
    if (outer.pid !== 0) task.keepRestoredDisk();
    return task;
  }

  async tidy(): Promise<void> {
    const { runDirectory, sandboxes } = this.#options;
    await endStraySandboxes(runDirectory, this.#shared, sandboxes);
  }

  async openFiles(options: OpenFilesOptions): Promise<OpenFiles> {
    const id = randomBytes(32).toString('hex');
    const directory = path.join(this.#options.runDirectory, `files-${id.slice(0, SHORT_ID)}`);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => rmSync(directory, { recursive: true, force: true }));
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#shared.add(directory);
    undo.defer(() => void this.#shared.delete(directory));
    noteSandbox(directory, id);
    const spec = {
      ...options.spec,
      linux: { ...options.spec.linux, cgroupsPath: this.#options.cgroupsPath(id) },
    };
    const bundle = path.join(directory, 'bundle');
    mkdirSync(bundle, { mode: 0o700 });
    const io = { terminal: false, stdin: false };
    const task = await this.#create({ ...options, id, bundle, directory, spec, io }, { hold: true });
    undo.defer(() => task.remove());
    undo.defer(() => task.end());
    await task.start();
    const owned = undo.move();
    return { files: task.files, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  /** On first use: a host where no container is a microVM needs nothing for them. */
  #open(): Promise<MicrovmHost> {
    this.#host ??= openMicrovmHost(this.#options, (installation) => this.#inUse.has(installation)).catch(
      (error: unknown) => {
        this.#host = undefined;
        throw error;
      },
    );
    return this.#host;
  }

  #filter(profile: RuntimeSeccomp): Buffer {
    const key = JSON.stringify(profile);
    const known = this.#filters.get(key);
    if (known !== undefined) return known;
    const filter = compileSeccomp(profile);
    this.#filters.set(key, filter);
    return filter;
  }
}

/** A checkpoint that this host's VMs can go on from. */
function openCheckpoint(
  directory: string,
  { installation, accelerator }: MicrovmHost,
): ReturnType<typeof readCheckpoint> {
  const checkpoint = readCheckpoint(directory);
  const { saved } = checkpoint;
  if (saved.installation !== path.basename(installation.directory)) {
    throw conflict('The checkpoint was made with another version of QEMU, of the guests’ kernel or of Hull');
  }
  if (saved.machine.accelerator !== accelerator) {
    throw conflict(
      `The checkpoint was made with ${saved.machine.accelerator}, and microVMs run with ${accelerator} here`,
    );
  }
  return checkpoint;
}

/** Nobody of the host, and hardly ever the same for two VMs. */
function ownerOf(id: string): { uid: number; gid: number } {
  const number = 0x4000_0000 + (Number.parseInt(id.slice(0, 7), 16) || 1);
  return { uid: number, gid: number };
}

/** virtiofsd keeps one open for each file that its guest knows. */
function mostOpenFiles(): number {
  return Math.min(SHARED_FILES, ownLimits().hard.RLIMIT_NOFILE ?? SHARED_FILES);
}

/** What limits the VM as a whole. The number of processes in it is the guest's own affair. */
function sandboxResources(resources: RuntimeResources = {}, { memory: guest }: Machine): RuntimeResources {
  const { pids: _, devices: __, memory, unified: ___, ...rest } = resources;
  const limit = sandboxMemory(memory?.limit);
  return {
    ...rest,
    pids: { limit: MOST_THREADS },
    memory: limit === undefined ? { limit: wholeSandboxMemory(guest) } : { limit, swap: limit },
  };
}
