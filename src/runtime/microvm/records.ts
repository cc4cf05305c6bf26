/** The records that calls' bodies and hull-vm's own file are made of: protocol.md. */
export const TAG = {
  // CONFIGURE
  time: 0x01,
  entropy: 0x02,
  rescan: 0x03,
  layer: 0x04,
  top: 0x05,
  share: 0x06,
  interface: 0x07,
  route: 0x08,
  hostname: 0x09,
  domainname: 0x0a,
  sysctl: 0x0b,
  file: 0x0c,
  mount: 0x0d,
  masked: 0x0e,
  readonly: 0x0f,
  device: 0x10,
  rootReadonly: 0x11,
  cgroup: 0x12,
  init: 0x13,
  capacity: 0x14,
  hardware: 0x15,
  standIn: 0x16,
  // RUN
  args: 0x20,
  env: 0x21,
  cwd: 0x22,
  user: 0x23,
  groups: 0x24,
  terminal: 0x25,
  stdin: 0x26,
  capabilities: 0x27,
  rlimit: 0x28,
  noNewPrivileges: 0x29,
  seccomp: 0x2a,
  oomScoreAdj: 0x2b,
  umask: 0x2c,
  privileged: 0x2d,
  hold: 0x2e,
  // other calls
  signal: 0x30,
  size: 0x31,
  end: 0x32,
  path: 0x40,
  whole: 0x41,
  follow: 0x42,
  upper: 0x43,
  bare: 0x44,
  keepKind: 0x45,
  unmounted: 0x46,
  listeners: 0x50,
  // entries of a tree
  name: 0x60,
  stat: 0x61,
  link: 0x62,
  hardLink: 0x63,
  xattr: 0x64,
  failed: 0x65,
  // hull-vm's file
  open: 0x80,
  tap: 0x81,
  qemu: 0x82,
  preload: 0x83,
  owner: 0x84,
  shares: 0x85,
  configure: 0x86,
  run: 0x87,
  ram: 0x88,
  console: 0x89,
  commands: 0x8a,
  commandsIn: 0x8b,
  restore: 0x8c,
} as const;

const HEADER_SIZE = 8;

/** A list of records in the making. */
export class Records {
  readonly #parts: Buffer[] = [];

  /** Adds one with these bytes, or none. */
  add(tag: number, value: Uint8Array = Buffer.alloc(0)): this {
    const header = Buffer.alloc(HEADER_SIZE);
    header.writeUInt16BE(tag, 0);
    header.writeUInt32BE(value.length, 4);
    this.#parts.push(header, Buffer.from(value));
    return this;
  }

  text(tag: number, value: string): this {
    return this.add(tag, Buffer.from(value));
  }

  /** Several texts, each ended by a NUL: none may hold one. */
  texts(tag: number, values: readonly string[]): this {
    return this.add(tag, Buffer.from(values.map((value) => `${value}\0`).join('')));
  }

  /** Unsigned numbers of four bytes. */
  numbers(tag: number, ...values: readonly number[]): this {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * index);
    return this.add(tag, bytes);
  }

  encode(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export interface DecodedRecord {
  tag: number;
  value: Buffer;
}

/** Takes a list of records apart. Throws when it is cut off: the other side is not to be trusted. */
export function* decodeRecords(bytes: Buffer): Generator<DecodedRecord> {
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < HEADER_SIZE) throw new Error('A record is cut off');
    const start = at + HEADER_SIZE;
    const end = start + bytes.readUInt32BE(at + 4);
    if (end > bytes.length) throw new Error('A record is cut off');
    yield { tag: bytes.readUInt16BE(at), value: bytes.subarray(start, end) };
    at = end;
  }
}
