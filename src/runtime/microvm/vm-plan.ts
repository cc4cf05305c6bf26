import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { RuntimeRlimit, RuntimeSpec } from '#/oci/runtime-spec.ts';
import type { CreateTaskOptions, GuestNetwork, GuestOptions } from '../runtime.ts';
import {
  configureBody,
  restoreBody,
  GUEST_FILES,
  GUEST_SHARES,
  INIT_IN_CONTAINER,
} from './configure-body.ts';
import { SANDBOX } from './installation.ts';
import { PciSlots } from './pci-slots.ts';
import {
  CONTINUE_COMMANDS,
  incomingCommands,
  type Machine,
  type MemoryBacking,
  NEGOTIATE_COMMANDS,
  qemuCommand,
  SHARE_TAG,
  shareCommands,
} from './qemu-command.ts';
import { Records, TAG } from './records.ts';
import { encodeRlimit, runBody } from './run-body.ts';
import type { SandboxOptions } from './sandbox-spec.ts';
import type { Template } from './templates.ts';

export interface PlanInputs {
  /** The main process only keeps the container's mounts. */
  hold: boolean;
  spec: RuntimeSpec;
  guest: GuestOptions;
  io: CreateTaskOptions['io'];
  machine: Machine;
  /** The guest to go on from; it boots without one. */
  template: Template | undefined;
  /** The state of a guest with its memory, as QEMU's migration stream, to go on from instead. */
  checkpoint: string | undefined;
  /** Whose QEMU and hull-vm are. */
  owner: { uid: number; gid: number };
  network: GuestNetwork;
  /** For the main process in the guest, and for QEMU. */
  filter: Buffer | undefined;
  qemuFilter: Buffer;
  tscKhz: number;
  /** In the sandbox. */
  trimLibrary: string | undefined;
}

export interface VmPlan {
  /** hull-vm's file (protocol.md). */
  file: Buffer;
  /** What must be in the sandbox for it. */
  mounts: SandboxOptions['files'][number][];
  /** Whether virtiofsd shows the guest files of the host. */
  shares: boolean;
}

type Mounts = VmPlan['mounts'];

/** Descriptors of QEMU's that hull-vm opens for it; below are stdio, the agent, the console and the control protocol. */
const FIRST_FD = 6;
/** The saved guest's memory in the sandbox, which hull-vm's library lets QEMU open for reading. */
export const RAM_FILE = '/run/ram';
const ENTROPY_BYTES = 64;
/** More than QEMU has with 127 layers. */
const MOST_FILES = 1024;

/** hull-vm's file, and what must be mounted into the sandbox for it. */
export function planVm(inputs: PlanInputs): VmPlan {
  const { hold, spec, guest, io, machine, template, checkpoint, owner, network, filter } = inputs;
  const records = new Records();
  const mounts: Mounts = [];
  let nextFd = FIRST_FD;
  const open: Open = (from, to, access) => {
    mounts.push({ to, from, writable: access === 'rw' });
    records.texts(TAG.open, [String(nextFd), to, access]);
    return nextFd++;
  };
  const { sources, files, shares } = bindSources(spec, guest);
  for (const [order, { source, writable, recursive }] of shares.entries())
    mounts.push({ to: `/run/shares/${order}`, from: source, writable, recursive });
  const places = new PciSlots();
  const layers = guest.layers.map((file, order) => ({
    place: places.next(),
    fd: open(file, `/run/layer${order}`, 'ro'),
    readonly: true,
  }));
  const top = { place: places.next(), fd: open(guest.top, '/run/top', 'rw'), readonly: false };
  const interfaces = network.interfaces.map((taken) => {
    records.texts(TAG.tap, [String(nextFd), taken.tap]);
    return { ...taken, place: places.next(), fd: nextFd++ };
  });
  const share =
    shares.length === 0 ? undefined : { place: places.next(), socket: '/run/vm/shares', tag: SHARE_TAG };
  if (share !== undefined) records.texts(TAG.shares, virtiofsd());
  const { backing, incoming } =
    checkpoint === undefined
      ? memoryOf(template, share !== undefined, { records, mounts, open, fd: () => nextFd++ })
      : checkpointMemory(checkpoint, { records, open });
  const setup = (checkpoint === undefined ? configureBody : restoreBody)(spec, {
    rescan: incoming,
    time: BigInt(Date.now()) * 1_000_000n,
    entropy: randomBytes(ENTROPY_BYTES),
    layers: layers.map(({ place }) => place.name),
    top: top.place.name,
    ...(share === undefined ? {} : { share: SHARE_TAG }),
    interfaces: interfaces.map(({ place, name, mac, mtu, addresses }) => ({
      place: place.name,
      name,
      mac,
      mtu,
      addresses,
    })),
    routes: network.routes,
    standIns: network.standIns ?? [],
    sources,
    files,
  });
  records
    .texts(
      TAG.qemu,
      qemuCommand({
        machine,
        backing,
        agent: 'socket,fd=3',
        console: 'socket,fd=4',
        monitor: 'socket,fd=5',
        kernel: SANDBOX.kernel,
        initramfs: SANDBOX.initramfs,
        firmware: SANDBOX.firmware,
        trimLibrary: inputs.trimLibrary,
        tscKhz: inputs.tscKhz,
        disks: [...layers, top],
        interfaces,
        ...(share === undefined ? {} : { share }),
        incoming,
      }),
    )
    .numbers(TAG.owner, owner.uid, owner.gid)
    // Neither the disk nor anything else becomes larger than it is.
    .add(TAG.rlimit, encodeRlimit(fileSizeLimit(guest.top, machine)))
    .add(TAG.rlimit, encodeRlimit({ type: 'RLIMIT_NOFILE', soft: MOST_FILES, hard: MOST_FILES }))
    .add(TAG.seccomp, Buffer.concat([Buffer.alloc(4), inputs.qemuFilter]))
    .add(checkpoint === undefined ? TAG.configure : TAG.restore, setup)
    .add(
      TAG.run,
      runBody(spec.process, {
        ...guest.user,
        privileged: guest.privileged,
        hold,
        stdin: io.stdin,
        ...(io.size === undefined ? {} : { size: io.size }),
        ...(filter === undefined ? {} : { filter }),
      }),
    );
  return { file: records.encode(), shares: share !== undefined, mounts };
}

type Open = (from: string, to: string, access: 'ro' | 'rw') => number;

interface Memory {
  backing: MemoryBacking;
  incoming: boolean;
}

function checkpointMemory(file: string, { records, open }: { records: Records; open: Open }): Memory {
  records
    .text(TAG.commands, incomingCommands(open(file, '/run/state', 'ro'), { withMemory: true }))
    .text(TAG.commandsIn, CONTINUE_COMMANDS);
  return { backing: { kind: 'private' }, incoming: true };
}

function memoryOf(
  template: Template | undefined,
  shared: boolean,
  {
    records,
    mounts,
    open,
    fd,
  }: {
    records: Records;
    mounts: Mounts;
    open: Open;
    fd: () => number;
  },
): Memory {
  if (template === undefined) {
    records.text(TAG.commands, NEGOTIATE_COMMANDS);
    return { backing: { kind: shared ? 'shared' : 'private' }, incoming: false };
  }
  mounts.push({ to: RAM_FILE, from: template.ram });
  records.text(
    TAG.commands,
    incomingCommands(open(template.state, '/run/state', 'ro'), { withMemory: false }),
  );
  if (!shared) {
    records.text(TAG.preload, SANDBOX.ramLibrary);
    return { backing: { kind: 'file', path: RAM_FILE, share: false }, incoming: true };
  }
  // virtiofsd must see the guest's memory, so this guest has a copy of its own.
  records.text(TAG.commandsIn, shareCommands(SHARE_TAG));
  const ram = fd();
  records.texts(TAG.ram, [String(ram), RAM_FILE]);
  return { backing: { kind: 'file', path: `/proc/self/fd/${ram}`, share: true }, incoming: true };
}

/** Where the guest has what the container binds: the engine's small files as copies, everything else by virtiofs. */
function bindSources(
  spec: RuntimeSpec,
  guest: GuestOptions,
): { sources: Map<string, string>; files: Map<string, Buffer>; shares: Share[] } {
  const sources = new Map<string, string>();
  const files = new Map<string, Buffer>();
  const shares = new Map<string, Share>();
  for (const { type, source = '', destination, options = [] } of spec.mounts) {
    if (type !== 'bind' || destination === INIT_IN_CONTAINER) continue;
    const writable = !options.includes('ro') && !options.includes('rro');
    const recursive = options.includes('rbind');
    const known = shares.get(source);
    if (known !== undefined) {
      // Once for all places, so that they show the same at the same time; each place has its own limits in the guest.
      known.writable ||= writable;
      known.recursive ||= recursive;
    } else if (guest.files.includes(source)) {
      const name = path.basename(source);
      files.set(name, readFileSync(source));
      sources.set(source, `${GUEST_FILES}/${name}`);
    } else {
      sources.set(source, `${GUEST_SHARES}/${shares.size}`);
      shares.set(source, { source, writable, recursive });
    }
  }
  return { sources, files, shares: [...shares.values()] };
}

/** What of the host virtiofsd may show. */
interface Share {
  source: string;
  writable: boolean;
  /** With what is mounted below. */
  recursive: boolean;
}

function virtiofsd(): string[] {
  const options =
    'source=/run/shares,sandbox=chroot,xattr,posix_acl,announce_submounts,cache=auto,flock,posix_lock';
  return [SANDBOX.virtiofsd, '--fd=3', '-f', '-o', options];
}

function fileSizeLimit(disk: string, { memory }: Machine): RuntimeRlimit {
  const size = Math.max(statSync(disk).size, memory);
  return { type: 'RLIMIT_FSIZE', soft: size, hard: size };
}
