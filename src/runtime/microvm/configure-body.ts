import { notImplemented } from '#/base/errors.ts';
import type { RuntimeMount, RuntimeSpec } from '#/oci/runtime-spec.ts';
import type { GuestNetwork, GuestRoute } from '../runtime.ts';
import { guestLimits } from './guest-limits.ts';
import { Records, TAG } from './records.ts';

/** What the guest is to be told of one start, beside what the specification says. */
export interface GuestSetup {
  /** The guest was saved before these devices were there. */
  rescan: boolean;
  /** Nanoseconds since 1970. */
  time: bigint;
  entropy: Buffer;
  /** The kernel's names of the disks' PCI places, base first. */
  layers: readonly string[];
  top: string;
  share?: string;
  interfaces: readonly {
    place: string;
    name: string;
    mac: string;
    mtu: number;
    addresses: readonly string[];
  }[];
  routes: readonly GuestRoute[];
  standIns: NonNullable<GuestNetwork['standIns']>;
  /** Source of a bind mount on the host -> where the guest has it. */
  sources: ReadonlyMap<string, string>;
  /** What the engine keeps up to date: name -> content. */
  files: ReadonlyMap<string, Buffer>;
}

/** Where the guest keeps what it is given; protocol.md. */
export const GUEST_FILES = '/run/hull/files';
export const GUEST_SHARES = '/run/hull/shares';
export const INIT_IN_CONTAINER = '/sbin/docker-init';

/** runtime-spec, "Default Devices": the guest makes the nodes itself. */
const DEFAULT_DEVICES: readonly (readonly [path: string, major: number, minor: number])[] = [
  ['/dev/null', 1, 3],
  ['/dev/zero', 1, 5],
  ['/dev/full', 1, 7],
  ['/dev/random', 1, 8],
  ['/dev/urandom', 1, 9],
  ['/dev/tty', 5, 0],
];

/** The body of CONFIGURE; pure. */
export function configureBody(spec: RuntimeSpec, setup: GuestSetup): Buffer {
  const body = new Records();
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(setup.time);
  body.add(TAG.time, time);
  addSurroundings(body, spec, setup);
  for (const place of setup.layers) body.text(TAG.layer, place);
  body.text(TAG.top, setup.top).add(TAG.capacity);
  if (setup.share !== undefined) body.text(TAG.share, setup.share);
  for (const standIn of setup.standIns) body.texts(TAG.standIn, standIn);
  if (spec.hostname !== undefined) body.text(TAG.hostname, spec.hostname);
  for (const [name, value] of Object.entries(spec.linux.sysctl ?? {})) {
    if (name === 'kernel.domainname') body.text(TAG.domainname, value);
    else body.texts(TAG.sysctl, [name, value]);
  }
  for (const mount of spec.mounts) addMount(body, mount, setup.sources);
  for (const masked of spec.linux.maskedPaths ?? []) body.text(TAG.masked, masked);
  for (const readonly of spec.linux.readonlyPaths ?? []) body.text(TAG.readonly, readonly);
  for (const [path, major, minor] of DEFAULT_DEVICES) {
    body.texts(TAG.device, ['c', path, String(major), String(minor), '666', '0', '0']);
  }
  if (spec.root.readonly === true) body.add(TAG.rootReadonly);
  return body.encode();
}

/** The body of RESTORE: what may be otherwise than when the guest was saved; pure. */
export function restoreBody(spec: RuntimeSpec, setup: GuestSetup): Buffer {
  const body = new Records();
  addSurroundings(body, spec, setup);
  for (const { place, mac } of setup.interfaces) body.texts(TAG.hardware, [place, mac]);
  return body.encode();
}

function addSurroundings(
  body: Records,
  spec: RuntimeSpec,
  { rescan, entropy, interfaces, routes, files }: GuestSetup,
): void {
  body.add(TAG.entropy, entropy);
  if (rescan) body.add(TAG.rescan);
  for (const { place, name, mtu, addresses } of interfaces) {
    body.texts(TAG.interface, [place, name, mtu === 0 ? '' : String(mtu), ...addresses]);
  }
  for (const { destination, gateway, link } of routes) body.texts(TAG.route, [destination, gateway, link]);
  for (const [name, content] of files) {
    body.add(TAG.file, Buffer.concat([Buffer.from(`${name}\0`), content]));
  }
  const { unified = {}, ...limits } = spec.linux.resources ?? {};
  for (const limit of [...Object.entries(unified), ...guestLimits(limits)]) body.texts(TAG.cgroup, limit);
}

function addMount(body: Records, mount: RuntimeMount, sources: ReadonlyMap<string, string>): void {
  const { destination, type = 'bind', source = '', options = [] } = mount;
  if (destination === INIT_IN_CONTAINER) {
    body.add(TAG.init);
    return;
  }
  if (type !== 'bind') {
    body.texts(TAG.mount, [destination, type, source, options.join(',')]);
    return;
  }
  const there = sources.get(source);
  if (there === undefined) throw notImplemented(`A microVM cannot have "${source}" of the host`);
  body.texts(TAG.mount, [destination, type, there, options.join(',')]);
}
