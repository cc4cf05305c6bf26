import { cpSync, mkdirSync, mkdtempSync, rmSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { readCgroupLayout } from '#/host/cgroup-layout.ts';
import { killPid, run, spawnDetached, type ChildHandle } from '#/host/process.ts';

const MAKEFILE = path.join(import.meta.dirname, '../Makefile');
const PROGRAM = path.join(import.meta.dirname, '../../../../../dist/hull-agent-test');
const APPLETS =
  'sh cat echo sleep true false ls stty head dd yes printf kill seq wc id test mkdir touch mount env pwd hostname tty readlink ps nc ip dmesg awk mknod ln chown chmod'.split(
    ' ',
  );
const DEADLINE = { timeoutMs: 60_000 };

export const METHOD = {
  configure: 1,
  run: 2,
  ping: 3,
  stats: 4,
  signalAll: 5,
  processes: 6,
  writeFile: 7,
  sync: 8,
  tree: 9,
  plant: 10,
  memory: 11,
  events: 12,
  suspend: 14,
  resume: 15,
  restore: 16,
} as const;

export const FRAME = {
  call: 1,
  body: 2,
  data: 3,
  credit: 4,
  control: 5,
  cancel: 6,
  event: 7,
  result: 8,
} as const;

export function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index);
  return bytes;
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * index);
  return bytes;
}

export function u64(...values: bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64BE(value, 8 * index);
  return bytes;
}

export function texts(...values: (string | Buffer)[]): Buffer {
  return Buffer.concat(values.flatMap((value) => [Buffer.from(value), Buffer.alloc(1)]));
}

export function record(tag: number, value: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(tag, 0), u32(bytes.length), bytes]);
}

export function frame(type: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.of(type, 0), u16(stream), u32(payload.length), payload]);
}

/** A call as its caller sees it. */
export class AgentCall {
  readonly output: Buffer[] = [];
  readonly error: Buffer[] = [];
  readonly events: { kind: number; payload: Buffer }[] = [];
  readonly ended = new Set<number>();
  credit = 65_536;
  /** Credit is given as output comes, unless this is false. */
  reads = true;
  readonly started = Promise.withResolvers<number>();
  readonly #result = Promise.withResolvers<{ errno: number; answer: Buffer }>();
  #waiting: { wanted: (call: AgentCall) => boolean; resolve: () => void }[] = [];
  readonly #guest: GuestAgent;
  readonly stream: number;

  constructor(guest: GuestAgent, stream: number) {
    this.#guest = guest;
    this.stream = stream;
    this.#result.promise.catch(() => {});
    this.started.promise.catch(() => {});
  }

  get result(): Promise<{ errno: number; answer: Buffer }> {
    return this.#result.promise;
  }

  get text(): string {
    return Buffer.concat(this.output).toString();
  }

  get errorText(): string {
    return Buffer.concat(this.error).toString();
  }

  /** The exit code, 128 + n for signal n; rejects with the agent's words. */
  async code(): Promise<number> {
    const { errno, answer } = await this.result;
    if (errno !== 0) throw new Error(`${errno}: ${answer.toString()}`);
    const status = answer.readUInt32BE(0);
    return (status & 0x7f) === 0 ? status >> 8 : 128 + (status & 0x7f);
  }

  /** Resolves when what came so far is what was waited for. */
  async until(wanted: (call: AgentCall) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ wanted, resolve });
    this.#look();
    return promise;
  }

  send(type: number, payload?: Buffer): void {
    this.#guest.write(frame(type, this.stream, payload));
  }

  /** Sends all of it, in as many frames as the credit asks for, and the end. */
  async input(bytes: Buffer, end = true): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      await this.until((call) => call.credit > 0 || call.ended.has(-1));
      if (this.ended.has(-1)) return;
      const piece = bytes.subarray(at, at + Math.min(this.credit, 32_767));
      this.credit -= piece.length;
      at += piece.length;
      this.send(FRAME.data, Buffer.concat([Buffer.of(0), piece]));
    }
    if (end) this.send(FRAME.data, Buffer.of(0));
  }

  take(type: number, payload: Buffer): void {
    if (type === FRAME.data) {
      const channel = payload.readUInt8(0);
      if (payload.length === 1) this.ended.add(channel);
      (channel === 1 ? this.output : this.error).push(payload.subarray(1));
      if (this.reads && payload.length > 1) {
        this.send(FRAME.credit, Buffer.concat([Buffer.of(channel), u32(payload.length - 1)]));
      }
    } else if (type === FRAME.credit) {
      this.credit += payload.readUInt32BE(1);
    } else if (type === FRAME.event) {
      this.events.push({ kind: payload.readUInt8(0), payload: payload.subarray(1) });
      if (payload.readUInt8(0) === 1) this.started.resolve(payload.readUInt32BE(1));
    } else {
      this.ended.add(-1);
      this.started.reject(new Error(payload.subarray(4).toString()));
      this.#result.resolve({ errno: payload.readUInt32BE(0), answer: payload.subarray(4) });
    }
    this.#look();
  }

  fail(error: Error): void {
    this.#result.reject(error);
    this.started.reject(error);
  }

  #look(): void {
    const ready = this.#waiting.filter(({ wanted }) => wanted(this));
    this.#waiting = this.#waiting.filter((waiting) => !ready.includes(waiting));
    for (const { resolve } of ready) resolve();
  }
}

export interface RunOptions {
  user?: string;
  cwd?: string;
  env?: string[];
  /** Further records. */
  records?: Buffer[];
}

/** The agent in namespaces of its own with busybox as its one layer, and a connection to it. */
export class GuestAgent implements AsyncDisposable {
  readonly layer = '0000:00:08.0';
  readonly directory: string;
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #child: ChildHandle;
  readonly #cgroup: string;
  readonly #loops: string[];
  readonly #calls = new Map<number, AgentCall>();
  #rest: Buffer = Buffer.alloc(0);
  #next = 1;

  private constructor(
    directory: string,
    socket: Socket,
    child: ChildHandle,
    cgroup: string,
    loops: string[],
  ) {
    this.directory = directory;
    this.#socket = socket;
    this.#child = child;
    this.#cgroup = cgroup;
    this.#loops = loops;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const call of this.#calls.values()) call.fail(new Error('The agent is gone'));
    });
  }

  /** Starts one, not configured. `disks` are files to attach, by PCI address. */
  static async start(disks: Record<string, string> = {}): Promise<GuestAgent> {
    const directory = mkdtempSync(path.join(tmpdir(), 'hga-'));
    await checked('make', ['--silent', '-f', MAKEFILE, 'test']);
    const image = path.join(directory, 'layer.erofs');
    await makeLayer(path.join(directory, 'layer'), image);
    const loops: string[] = [];
    for (const [address, file] of Object.entries({ '0000:00:08.0': image, ...disks })) {
      const { stdout } = await run('losetup', ['--find', '--show', file], DEADLINE);
      const loop = stdout.toString().trim();
      loops.push(loop);
      mkdirSync(path.join(directory, 'pci', address, 'virtio0/block', path.basename(loop)), {
        recursive: true,
      });
    }
    const cgroup = path.join(cgroupRoot(), path.basename(directory));
    mkdirSync(cgroup);
    const port = path.join(directory, 'port');
    const connected = Promise.withResolvers<Socket>();
    const server = createServer((socket) => connected.resolve(socket)).listen(port);
    const child = await spawnDetached(
      'unshare',
      [
        '--mount',
        '--pid',
        '--net',
        '--uts',
        '--ipc',
        '--fork',
        '--mount-proc',
        '--kill-child',
        PROGRAM,
      ].concat([port, path.join(directory, 'pci'), cgroup]),
      { stdout: 2, stderr: 2 },
    );
    const socket = await connected.promise;
    server.close();
    return new GuestAgent(directory, socket, child, cgroup, loops);
  }

  /** One that is configured: busybox, /proc, /dev with what a terminal needs, and what else the records say. */
  static async configured(records: Buffer[] = [], disks: Record<string, string> = {}): Promise<GuestAgent> {
    const guest = await GuestAgent.start(disks);
    const { errno, answer } = await guest.call(METHOD.configure, guest.configuration(records)).result;
    if (errno !== 0) {
      await guest[Symbol.asyncDispose]();
      throw new Error(answer.toString());
    }
    return guest;
  }

  configuration(records: Buffer[] = []): Buffer {
    return Buffer.concat([
      record(0x04, this.layer),
      record(0x0d, texts('/proc', 'proc', 'proc', 'nosuid,noexec,nodev')),
      record(0x0d, texts('/dev', 'tmpfs', 'tmpfs', 'nosuid,strictatime,mode=755,size=65536k')),
      record(
        0x0d,
        texts('/dev/pts', 'devpts', 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620'),
      ),
      record(0x10, texts('c', '/dev/null', '1', '3', '666', '0', '0')),
      record(0x10, texts('c', '/dev/zero', '1', '5', '666', '0', '0')),
      record(0x10, texts('c', '/dev/tty', '5', '0', '666', '0', '0')),
      ...records,
    ]);
  }

  call(method: number, body: Buffer = Buffer.alloc(0)): AgentCall {
    const call = new AgentCall(this, this.#next++);
    this.#calls.set(call.stream, call);
    const head = Buffer.concat([Buffer.of(method), u32(body.length), body.subarray(0, 32_000)]);
    this.write(frame(FRAME.call, call.stream, head));
    for (let at = 32_000; at < body.length; at += 32_000) {
      this.write(frame(FRAME.body, call.stream, body.subarray(at, at + 32_000)));
    }
    return call;
  }

  run(args: string[], { user, cwd = '/', env = ['PATH=/bin'], records = [] }: RunOptions = {}): AgentCall {
    return this.call(
      METHOD.run,
      Buffer.concat([
        record(0x20, texts(...args)),
        record(0x21, texts(...env)),
        record(0x22, cwd),
        ...(user === undefined ? [] : [record(0x23, user)]),
        ...records,
      ]),
    );
  }

  /** A main process that does nothing until it is killed; resolves when it runs. */
  async runIdle(): Promise<AgentCall> {
    const call = this.run(['sleep', '1000']);
    await call.started.promise;
    return call;
  }

  /** Runs a script beside the main process: what it said. Rejects when it fails. */
  async sh(script: string, options: RunOptions = {}): Promise<string> {
    const call = this.run(['sh', '-c', script], options);
    const code = await call.code();
    if (code !== 0) throw new Error(`${code}: ${call.errorText}`);
    return call.text;
  }

  write(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    killPid(this.#child.pid, 9);
    await this.#child.exited;
    for (const loop of this.#loops) await run('losetup', ['--detach', loop], DEADLINE);
    for (const directory of [path.join(this.#cgroup, 'container'), this.#cgroup]) {
      for (let tries = 0; tries < 50; tries += 1) {
        try {
          rmdirSync(directory);
          break;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') break;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  #onData(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 8 && bytes.length >= 8 + bytes.readUInt32BE(4)) {
      const length = 8 + bytes.readUInt32BE(4);
      const stream = bytes.readUInt16BE(2);
      this.#calls.get(stream)?.take(bytes.readUInt8(0), Buffer.from(bytes.subarray(8, length)));
      bytes = bytes.subarray(length);
    }
    this.#rest = Buffer.from(bytes);
  }
}

async function checked(command: string, args: string[]): Promise<void> {
  const { code, stdout, stderr } = await run(command, args, DEADLINE);
  if (code !== 0) throw new Error(`${command}: ${stdout.toString()}${stderr.toString()}`);
}

async function makeLayer(root: string, image: string): Promise<void> {
  for (const name of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp', 'masked', 'home/jane']) {
    mkdirSync(path.join(root, name), { recursive: true });
  }
  cpSync('/bin/busybox', path.join(root, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', path.join(root, 'bin', applet));
  writeFileSync(
    path.join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\njane:x:1000:1001::/home/jane:/bin/sh\n',
  );
  writeFileSync(path.join(root, 'etc/group'), 'root:x:0:\njane:x:1001:\naudio:x:29:jane\nvideo:x:44:\n');
  writeFileSync(path.join(root, 'masked/secret'), 'secret\n');
  writeFileSync(path.join(root, 'etc/not-executable'), 'x', { mode: 0o644 });
  writeFileSync(path.join(root, 'etc/wrong-format'), 'x', { mode: 0o755 });
  await checked('mkfs.erofs', [image, root]);
}

/** Where the host has cgroup v2. */
function cgroupRoot(): string {
  const { unified } = readCgroupLayout();
  if (unified === undefined) throw new Error('This host has no cgroup v2');
  return unified;
}
