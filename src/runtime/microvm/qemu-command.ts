import type { PciPlace } from './pci-slots.ts';

export type Accelerator = 'kvm' | 'tcg';

/** What makes two guests alike before anything of a container is in them: a saved one can go on only in its like. */
export interface Machine {
  accelerator: Accelerator;
  cpus: number;
  /** Bytes, a multiple of 1 MiB. */
  memory: number;
}

export type MemoryBacking =
  /** Nobody but QEMU needs it. */
  | { kind: 'private' }
  /** virtiofsd works in it, too. */
  | { kind: 'shared' }
  /** A file: what is written stays with this guest (`share: false`), or goes into the file. */
  | { kind: 'file'; path: string; share: boolean };

export interface GuestDisk {
  place: PciPlace;
  /** Descriptor of the open file. */
  fd: number;
  readonly: boolean;
}

export interface GuestInterface {
  place: PciPlace;
  /** Descriptor of the tap interface. */
  fd: number;
  mac: string;
}

export interface QemuOptions {
  machine: Machine;
  backing: MemoryBacking;
  /** Chardev backends of the agent's port, the console and the control protocol (QMP): `socket,fd=3`. */
  agent: string;
  console: string;
  monitor: string;
  kernel: string;
  initramfs: string;
  /** Directory of the firmware. */
  firmware: string;
  /** A plugin of the translator, which lets go of the code that nobody executes after the start. */
  trimLibrary?: string | undefined;
  /** Ticks of the time stamp counter in a millisecond; 0 where the guest finds out itself. */
  tscKhz: number;
  disks?: readonly GuestDisk[];
  interfaces?: readonly GuestInterface[];
  /** A virtiofs of this tag, from whoever listens at `socket`. */
  share?: { place: PciPlace; socket: string; tag: string };
  /** Goes on from what it is told by `incomingCommands`, instead of booting. */
  incoming?: boolean;
}

const MIB = 2 ** 20;

export const QEMU_PROGRAM = '/usr/bin/qemu-system-x86_64';
/** What the guest's agent looks for (protocol.md). */
export const AGENT_PORT = 'hull.agent';
export const SHARE_TAG = 'hull';
const SHARE_PORT = 'shares-port';

/** QEMU's command line; pure. */
export function qemuCommand(options: QemuOptions): string[] {
  const { machine, backing } = options;
  const parts: string[][] = [
    ['-name', 'hull', '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ['-L', options.firmware],
    ['-machine', 'microvm,x-option-roms=off,rtc=on,pcie=on,isa-serial=on,memory-backend=ram'],
    acceleratorOptions(machine.accelerator, options.trimLibrary),
    ['-smp', String(machine.cpus), '-m', `${machine.memory / MIB}M`],
    ['-object', memoryObject(backing, machine.memory)],
    ['-kernel', options.kernel, '-initrd', options.initramfs, '-append', kernelArguments(options)],
    ['-chardev', `${options.console},id=console`, '-serial', 'chardev:console'],
    ['-device', 'virtio-serial-pci,id=ports,addr=0x1'],
    ['-chardev', `${options.agent},id=agent`],
    ['-device', `virtserialport,bus=ports.0,nr=1,chardev=agent,name=${AGENT_PORT}`],
    // What the guest no longer uses goes back to the host.
    ['-device', 'virtio-balloon-pci,id=balloon,addr=0x2,free-page-reporting=on,deflate-on-oom=on'],
    [
      '-object',
      'rng-random,id=random,filename=/dev/urandom',
      '-device',
      'virtio-rng-pci,rng=random,addr=0x3',
    ],
    ['-chardev', `${options.monitor},id=monitor`, '-mon', 'chardev=monitor,mode=control'],
    ...(options.disks ?? []).map(diskOptions),
    ...(options.interfaces ?? []).map(interfaceOptions),
    options.share === undefined ? [] : shareOptions(options.share, options.incoming === true),
    options.incoming === true ? ['-incoming', 'defer'] : [],
    ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ];
  return [QEMU_PROGRAM, ...parts.flat()];
}

/** What a saved guest's memory file is not part of: its migration stream. The same when it is saved and when it goes on. */
export const IGNORE_SHARED = { capabilities: [{ capability: 'x-ignore-shared', state: true }] };

const NEGOTIATE = { execute: 'qmp_capabilities' };
const CONTINUE = { execute: 'cont' };

/** What lets QMP take any other command. */
export const NEGOTIATE_COMMANDS = commandLines([NEGOTIATE]);

/** QMP's commands that let a guest go on from the stream at a descriptor, which its memory may be part of. */
export function incomingCommands(fd: number, { withMemory }: { withMemory: boolean }): string {
  const events = { capabilities: [{ capability: 'events', state: true }] };
  return commandLines([
    NEGOTIATE,
    ...(withMemory ? [] : [{ execute: 'migrate-set-capabilities', arguments: IGNORE_SHARED }]),
    { execute: 'migrate-set-capabilities', arguments: events },
    { execute: 'migrate-incoming', arguments: { uri: `fd:${fd}` } },
  ]);
}

/** What is said when a guest has come in that was stopped when it was saved. */
export const CONTINUE_COMMANDS = commandLines([CONTINUE]);

/** What is said when it has come in and has a share: QEMU brings no guest in while there is such a device. */
export function shareCommands(tag: string): string {
  const device = { driver: 'vhost-user-fs-pci', chardev: 'shares', tag, bus: SHARE_PORT };
  return commandLines([{ execute: 'device_add', arguments: device }, CONTINUE]);
}

function commandLines(commands: readonly object[]): string {
  return commands.map((command) => `${JSON.stringify(command)}\n`).join('');
}

function acceleratorOptions(accelerator: Accelerator, trimLibrary: string | undefined): string[] {
  if (accelerator === 'kvm') return ['-accel', 'kvm', '-cpu', 'host'];
  // Translated code: by itself QEMU would take an eighth of the guest's memory for it.
  const options = ['-accel', 'tcg,thread=multi,tb-size=64', '-cpu', 'max'];
  return trimLibrary === undefined ? options : [...options, '-plugin', `file=${trimLibrary}`];
}

function memoryObject(backing: MemoryBacking, size: number): string {
  const common = `id=ram,size=${size / MIB}M`;
  if (backing.kind === 'private') return `memory-backend-ram,${common}`;
  if (backing.kind === 'shared') return `memory-backend-memfd,${common},share=on`;
  return `memory-backend-file,${common},mem-path=${backing.path},share=${backing.share ? 'on' : 'off'}`;
}

function kernelArguments({ machine, tscKhz }: QemuOptions): string {
  return [
    'console=ttyS0 quiet panic=-1 reboot=t',
    // Nothing in here needs them, and each takes time.
    'audit=0 lsm=capability cryptomgr.notests i8042.noaux random.trust_cpu=on rcupdate.rcu_expedited=1',
    // Without hardware's help the guest's clocks are too uneven to be measured against each other, which a guest would try for ever.
    ...(machine.accelerator === 'tcg'
      ? [`tsc=reliable tsc_early_khz=${tscKhz} lpj=${tscKhz * 4} no_timer_check mitigations=off`]
      : []),
  ].join(' ');
}

function diskOptions({ place, fd, readonly }: GuestDisk): string[] {
  const node = `disk${fd}`;
  const access = { 'read-only': readonly, ...(readonly ? {} : { discard: 'unmap' }) };
  const file = {
    driver: 'file',
    'node-name': `${node}-file`,
    filename: `/dev/fdset/${fd}`,
    locking: 'off',
    ...access,
  };
  const raw = { driver: 'raw', 'node-name': node, file: file['node-name'], ...access };
  return [
    '-add-fd',
    `fd=${fd},set=${fd}`,
    '-blockdev',
    JSON.stringify(file),
    '-blockdev',
    JSON.stringify(raw),
    '-device',
    `virtio-blk-pci,drive=${node},${pci(place)}`,
  ];
}

function interfaceOptions({ place, fd, mac }: GuestInterface): string[] {
  return [
    '-netdev',
    `tap,id=net${fd},fd=${fd}`,
    '-device',
    `virtio-net-pci,netdev=net${fd},mac=${mac},romfile=,${pci(place)}`,
  ];
}

/** A guest that comes in is stopped until its share is there, in a port that needs no power switched on. */
function shareOptions(
  { place, socket, tag }: NonNullable<QemuOptions['share']>,
  incoming: boolean,
): string[] {
  const device = incoming
    ? ['-S', '-device', `pcie-root-port,id=${SHARE_PORT},power_controller_present=off,${pci(place)}`]
    : ['-device', `vhost-user-fs-pci,chardev=shares,tag=${tag},${pci(place)}`];
  return ['-chardev', `socket,id=shares,path=${socket}`, ...device];
}

function pci({ address, multifunction }: PciPlace): string {
  return `addr=${address}${multifunction ? ',multifunction=on' : ''}`;
}
