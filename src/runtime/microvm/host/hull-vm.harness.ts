import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** For hull-vm's tests: a sandbox round it, and both who speak to it: a guest and clients. ../protocol.md. */
export const PROGRAM = path.join(import.meta.dirname, '../../../../dist/hull-vm');

export const CALL = 1;
export const BODY = 2;
export const DATA = 3;
export const CREDIT = 4;
export const CONTROL = 5;
export const CANCEL = 6;
export const EVENT = 7;
export const RESULT = 8;

/** The guest's streams of hull-vm's own calls. */
export const CONFIGURE_STREAM = 0;
export const MAIN = 1;
export const PING_STREAM = 2;
export const SUSPEND_STREAM = 3;

const METHOD_PING = 3;
export const METHOD_STARTED = 0x80;
export const METHOD_SIGNAL = 0x81;
export const METHOD_SIZE = 0x82;
export const METHOD_CHECKPOINT = 0x83;

export interface Frame {
  type: number;
  stream: number;
  payload: Buffer;
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

export function record(tag: number, value: Buffer | string | readonly string[] = ''): Buffer {
  const bytes = Array.isArray(value)
    ? Buffer.from(value.map((each) => `${each}\0`).join(''))
    : Buffer.from(value as string);
  return Buffer.concat([Buffer.from([0, tag, 0, 0]), u32(bytes.length), bytes]);
}

export function frame(type: number, stream: number, ...parts: readonly Buffer[]): Buffer {
  const payload = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([type, 0, stream >> 8, stream & 0xff]), u32(payload.length), payload]);
}

/** A side of a connection that frames go over. */
export class Speaker {
  readonly socket: Socket;
  /** What came and was not asked for yet; DATA's bytes add up in `data`. */
  readonly frames: Frame[] = [];
  ended = false;
  #waiting: (() => void)[] = [];
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      while (this.#rest.length >= 8 && this.#rest.length >= 8 + this.#rest.readUInt32BE(4)) {
        const end = 8 + this.#rest.readUInt32BE(4);
        const came = {
          type: this.#rest.readUInt8(0),
          stream: this.#rest.readUInt16BE(2),
          payload: Buffer.from(this.#rest.subarray(8, end)),
        };
        this.#rest = this.#rest.subarray(end);
        if (!this.answersItself(came)) this.frames.push(came);
      }
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
      this.#wake();
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  protected answersItself(_came: Frame): boolean {
    return false;
  }

  send(type: number, stream: number, ...parts: readonly Buffer[]): void {
    this.socket.write(frame(type, stream, ...parts));
  }

  data(stream: number, channel: number, bytes: Buffer | string): void {
    this.send(DATA, stream, Buffer.from([channel]), Buffer.from(bytes));
  }

  credit(stream: number, channel: number, bytes: number): void {
    this.send(CREDIT, stream, Buffer.from([channel]), u32(bytes));
  }

  call(stream: number, method: number, body: Buffer = Buffer.alloc(0)): void {
    this.send(CALL, stream, Buffer.from([method]), u32(body.length), body);
  }

  /** The first frame of this type (and stream) that came, or comes. */
  async take(type: number, stream?: number): Promise<Frame> {
    for (;;) {
      const at = this.frames.findIndex(
        (each) => each.type === type && (stream === undefined || each.stream === stream),
      );
      const [found] = at < 0 ? [] : this.frames.splice(at, 1);
      if (found !== undefined) return found;
      if (this.ended) throw new Error(`The connection ended before a frame of type ${type} came`);
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
  }

  /** A call's result: its errno and what follows. */
  async result(stream: number): Promise<{ error: number; answer: Buffer }> {
    const { payload } = await this.take(RESULT, stream);
    return { error: payload.readUInt32BE(), answer: payload.subarray(4) };
  }

  async closed(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
  }
}

/** The agent's side, behind a process that stands in for QEMU. */
export class Guest extends Speaker {
  answersPing = true;
  pings = 0;
  console: Socket;
  /** QEMU's control protocol. */
  monitor: Socket;

  constructor(socket: Socket, console: Socket, monitor: Socket) {
    super(socket);
    this.console = console;
    this.monitor = monitor;
    console.on('error', () => {});
    monitor.on('error', () => {});
  }

  protected override answersItself(came: Frame): boolean {
    if (came.type !== CALL || came.payload[0] !== METHOD_PING) return false;
    this.pings++;
    if (this.answersPing) this.send(RESULT, came.stream, u32(0), Buffer.alloc(8));
    return true;
  }

  /** Takes CONFIGURE and RUN and says that the process runs. */
  async start(pid = 7): Promise<void> {
    await this.take(CALL, CONFIGURE_STREAM);
    this.send(RESULT, CONFIGURE_STREAM, u32(0));
    await this.take(CALL, MAIN);
    this.send(EVENT, MAIN, Buffer.from([1]), u32(pid));
  }

  end(status: number, oomKilled = false): void {
    this.send(RESULT, MAIN, u32(0, status), Buffer.from([oomKilled ? 1 : 0]));
  }
}

/** What hull-vm has in its sandbox. */
const CAPABILITIES = '+setuid,+setgid,+setpcap,+net_admin,+sys_admin';

/** Carries descriptors 3 to 5 to where the test listens, and ends with 3 when the test lets go. */
const STAND_IN = `
const { Socket, connect } = require('net');
for (const [fd, name] of [[3, 'agent'], [4, 'console'], [5, 'monitor']]) {
  const inner = new Socket({ fd, readable: true, writable: true });
  const outer = connect('/run/vm/' + name);
  inner.pipe(outer).pipe(inner);
  inner.on('error', () => {});
  const leave = () => { console.error('let go'); process.exit(3); };
  outer.on('error', leave).on('close', () => (inner.writableFinished ? leave() : inner.on('finish', leave)));
}`;

export interface SandboxOptions {
  /** Bodies of RUN and CONFIGURE. */
  run?: Buffer;
  configure?: Buffer;
  /** Further records of the file. */
  records?: readonly Buffer[];
  /** QEMU's command line. */
  qemu?: readonly string[];
  owner?: { uid: number; gid: number };
  /** Runs before hull-vm, in the sandbox. */
  before?: string;
  stdio?: 'pipe' | 'terminal';
  env?: NodeJS.ProcessEnv;
}

export interface ExitFile {
  code: number;
  oomKilled: boolean;
  startError?: string;
  reason?: string;
}

/** hull-vm as the first process of a pid namespace, with a /run/vm of its own. */
export class Sandbox implements AsyncDisposable {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hv-'));
  readonly process: ChildProcess;
  readonly exited: Promise<number>;
  readonly #servers: Server[] = [];
  readonly #guest: Promise<Guest>;
  readonly #clients: Socket[] = [];
  readonly #execs: ChildProcess[] = [];

  constructor(options: SandboxOptions = {}) {
    const connections = ['agent', 'console', 'monitor'].map(
      (name) =>
        new Promise<Socket>((resolve) => {
          const server = createServer(resolve);
          server.listen(path.join(this.directory, name));
          this.#servers.push(server);
        }),
    );
    this.#guest = Promise.all(connections).then(([agent, console, monitor]) => {
      if (agent === undefined || console === undefined || monitor === undefined)
        throw new Error('There are three');
      return new Guest(agent, console, monitor);
    });
    const { uid, gid } = options.owner ?? { uid: 0, gid: 0 };
    writeFileSync(
      path.join(this.directory, 'file'),
      Buffer.concat([
        record(0x82, [...(options.qemu ?? [process.execPath, '-e', STAND_IN])]),
        record(0x84, u32(uid, gid)),
        record(0x86, options.configure ?? Buffer.alloc(0)),
        record(0x87, options.run ?? record(0x26)),
        ...(options.records ?? []),
      ]),
    );
    const script = `mount -t tmpfs run /run && mkdir /run/vm && mount --bind "$0" /run/vm && cp /run/vm/file /run && chown ${uid}:${gid} /run/vm && { ${options.before ?? 'true'}; } && exec setpriv --bounding-set=-all,${CAPABILITIES} "$@"`;
    const inside = ['sh', '-c', script, this.directory, PROGRAM, 'run', '/run/file'];
    const outside = ['--mount', '--net', '--pid', '--fork', '--mount-proc', ...inside];
    this.process =
      options.stdio === 'terminal'
        ? spawn(
            'script',
            ['-qefc', `stty rows 33 cols 77; exec unshare ${outside.map(quote).join(' ')}`, '/dev/null'],
            { env: { ...process.env, ...options.env } },
          )
        : spawn('unshare', outside, { env: { ...process.env, ...options.env } });
    this.process.stdin?.on('error', () => {});
    this.exited = new Promise((resolve) => {
      this.process.on('close', (code) => resolve(code ?? -1));
    });
  }

  /** The guest, once QEMU's stand-in runs. */
  async guest(): Promise<Guest> {
    return this.#guest;
  }

  async client(): Promise<Speaker> {
    const at = path.join(this.directory, 'sock');
    while (!existsSync(at)) {
      if (this.process.exitCode !== null) throw new Error(`hull-vm ended with ${this.process.exitCode}`);
      await sleep(5);
    }
    const socket = connect(at);
    this.#clients.push(socket);
    return new Speaker(socket);
  }

  /** `hull-vm exec` with this body of RUN, whose terminal is 20 rows of 50. */
  exec(body: Buffer, stdio: 'pipe' | 'terminal' = 'pipe'): ChildProcess {
    const file = path.join(this.directory, `exec${this.#execs.length}`);
    writeFileSync(file, body);
    const command = [PROGRAM, 'exec', file, path.join(this.directory, 'sock')];
    const child =
      stdio === 'pipe'
        ? spawn(PROGRAM, command.slice(1))
        : spawn('script', ['-qefc', `stty rows 20 cols 50; exec ${command.join(' ')}`, '/dev/null']);
    child.stdin?.on('error', () => {});
    this.#execs.push(child);
    return child;
  }

  /** hull-vm's pid, outside: the last in the row of those who started it, or who that is yet. */
  pid(): number {
    for (let pid = Number(this.process.pid); ;) {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
      if (children === '' || readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(PROGRAM)) return pid;
      pid = Number(children.split(' ')[0]);
    }
  }

  exitFile(): ExitFile {
    return JSON.parse(readFileSync(path.join(this.directory, 'exit'), 'utf8')) as ExitFile;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // unshare's own --kill-child no longer holds once hull-vm has become the owner.
    if (this.process.exitCode === null && this.process.signalCode === null)
      process.kill(this.pid(), 'SIGKILL');
    await this.exited;
    for (const child of this.#execs) child.kill('SIGKILL');
    for (const socket of this.#clients) socket.destroy();
    for (const server of this.#servers) server.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A child's exit code; 128 + n when signal n ended it. */
export async function exitCode(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? 128 + constants.signals[child.signalCode ?? 'SIGKILL'];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
