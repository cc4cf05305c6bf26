import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Daemons for tests: each on roots, a socket, a bridge and a subnet of its own, so that a run never touches the host's engine.
 * `await using` one: its end removes its containers, stops it and deletes all that it wrote.
 */
export type EngineName = 'hull' | 'docker';

export const CHECKOUT = path.join(import.meta.dirname, '..');

/** How many times longer than usual things may take: more than 1 on emulated processors. */
export const PATIENCE = Number(process.env.HULL_TEST_PATIENCE ?? 1);
const READY_TIMEOUT_MS = 60_000 * PATIENCE;
const STOP_TIMEOUT_MS = 60_000 * PATIENCE;
let started = 0;

export interface DaemonOptions {
  /** Flags beside the roots and the socket. */
  flags?: string[];
  environment?: Record<string, string>;
  /** Begin with the microVM guests that an earlier daemon of the same run of the tests has saved. */
  savedGuests?: boolean;
}

export class Daemon {
  readonly name: EngineName;
  readonly directory: string;
  readonly socket: string;
  readonly bridge: string;
  readonly gateway: string;
  readonly #options: DaemonOptions;
  #process: ChildProcess | undefined;
  #packetRules: string | undefined;

  constructor(name: EngineName, options: DaemonOptions = {}) {
    const serial = started++;
    this.name = name;
    this.#options = options;
    this.directory = mkdtempSync(path.join(tmpdir(), `${name}-test-`));
    // Roots of user namespaces pass here on the way to their files.
    chmodSync(this.directory, 0o711);
    this.socket = path.join(this.directory, 'engine.sock');
    this.bridge = `${name.slice(0, 1)}t${process.pid}n${serial}`;
    this.gateway = `10.${name === 'hull' ? 201 + (serial % 20) : 231 + (serial % 20)}.${process.pid % 256}.1`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }
  get host(): string {
    return `unix://${this.socket}`;
  }
  get dataRoot(): string {
    return path.join(this.directory, 'data');
  }
  get execRoot(): string {
    return path.join(this.directory, 'exec');
  }
  get log(): string {
    return readFileSync(path.join(this.directory, 'log'), 'utf8');
  }

  /** Starts the program and waits until it answers; milliseconds until then. */
  async start(): Promise<number> {
    const began = performance.now();
    const log = openSync(path.join(this.directory, 'log'), 'a');
    // dockerd names its own bridge docker0 unless it is given one that stands; Hull makes the one it is told of.
    if (this.name === 'docker') this.#makeBridge();
    if (this.#options.savedGuests === true) takeGuests(this.dataRoot);
    const program = this.name === 'hull' ? path.join(CHECKOUT, 'bin/hulld') : 'dockerd';
    const child = spawn(
      program,
      [
        `--host=${this.host}`,
        `--data-root=${this.dataRoot}`,
        `--exec-root=${this.execRoot}`,
        `--pidfile=${path.join(this.directory, 'pid')}`,
        ...(this.name === 'docker' ? ['--bridge', this.bridge] : ['--bip', `${this.gateway}/24`]),
        ...(this.#options.flags ?? []),
      ],
      {
        stdio: ['ignore', log, log],
        detached: true,
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...this.#options.environment },
      },
    );
    this.#process = child;
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(new Error(`${program} ended with ${code} before it answered:\n${this.log.slice(-2000)}`)),
      );
    });
    failed.catch(() => {});
    await Promise.race([this.#answering(child), failed]);
    return performance.now() - began;
  }

  async #answering(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (child.exitCode === null && child.signalCode === null && !(await ping(this.socket))) {
      if (Date.now() > deadline)
        throw new Error(`"${this.socket}" does not answer:\n${this.log.slice(-2000)}`);
      await sleep(10);
    }
  }

  #makeBridge(): void {
    if (existsSync(`/sys/class/net/${this.bridge}`)) return;
    this.#packetRules ??= savedPacketRules();
    ip(['link', 'add', 'name', this.bridge, 'type', 'bridge']);
    ip(['addr', 'add', `${this.gateway}/24`, 'dev', this.bridge]);
    ip(['link', 'set', this.bridge, 'up']);
  }

  /** SIGKILL, as a crash does it; resolves once the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM, and SIGKILL after the deadline; fails when a Hull did not come to the end of its shutdown. */
  async stop(): Promise<void> {
    const before = this.log.length;
    const ended = await this.#end('SIGTERM');
    if (ended && this.name === 'hull' && !this.log.slice(before).includes('Daemon shutdown complete'))
      throw new Error(`the shutdown was not completed:\n${this.log.slice(-2000)}`);
  }

  /** Whether there was one to end. */
  async #end(signal: NodeJS.Signals): Promise<boolean> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(timer);
    return true;
  }

  /** Removes every container by force; a daemon that keeps containers alive when it stops would leave them running. */
  async removeContainers(): Promise<void> {
    const list = await request(this.socket, 'GET', '/containers/json?all=1');
    const ids = (JSON.parse(list.body.toString()) as { Id: string }[]).map((container) => container.Id);
    await Promise.all(ids.map((id) => request(this.socket, 'DELETE', `/containers/${id}?force=1&v=1`)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== undefined) await this.removeContainers().catch(() => {});
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.#clean());
    await this.stop();
    if (this.#options.savedGuests === true) leaveGuests(this.dataRoot);
  }

  #clean(): void {
    for (const mount of mountsUnder(this.directory).reverse()) run('umount', ['-l', mount]);
    if (this.name === 'docker' && existsSync(`/sys/class/net/${this.bridge}`))
      ip(['link', 'del', this.bridge]);
    if (this.#packetRules !== undefined) {
      execFileSync('iptables-restore', { input: this.#packetRules, timeout: 10_000 });
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Where ./test has the guests that were saved; each takes a boot of seconds. */
const GUESTS = process.env.HULL_TEST_GUESTS;

/** Hard links do: nobody changes what is installed and saved. */
function linkTree(from: string, to: string): void {
  execFileSync('cp', ['-al', from, to], { timeout: 30_000 });
}

function takeGuests(dataRoot: string): void {
  const saved = path.join(GUESTS ?? '', 'installed');
  if (GUESTS === undefined || existsSync(dataRoot) || !existsSync(saved)) return;
  mkdirSync(path.join(dataRoot, 'vm'), { recursive: true, mode: 0o711 });
  linkTree(saved, path.join(dataRoot, 'vm/installed'));
}

function leaveGuests(dataRoot: string): void {
  if (GUESTS === undefined || existsSync(path.join(GUESTS, 'installed'))) return;
  const installed = path.join(dataRoot, 'vm/installed');
  if (globSync('*/saved-*/state', { cwd: installed }).length === 0) return;
  linkTree(installed, path.join(GUESTS, 'unfinished'));
  renameSync(path.join(GUESTS, 'unfinished'), path.join(GUESTS, 'installed'));
}

export async function startDaemon(name: EngineName, options?: DaemonOptions): Promise<Daemon> {
  const daemon = new Daemon(name, options);
  try {
    await daemon.start();
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
  return daemon;
}

export function mountsUnder(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target === directory || target.startsWith(`${directory}/`));
}

export interface RawReply {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

/** One request to a daemon's socket, without any client's own ideas. */
export function request(
  socketPath: string,
  method: string,
  url: string,
  options: { body?: Buffer | string; headers?: Record<string, string>; timeoutMs?: number } = {},
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const message = http.request(
      {
        socketPath,
        method,
        path: url,
        headers: options.headers,
        timeout: (options.timeoutMs ?? 60_000) * PATIENCE,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    message.on('timeout', () => message.destroy(new Error(`${method} ${url}: no answer in time`)));
    message.on('error', reject);
    message.end(options.body);
  });
}

async function ping(socket: string): Promise<boolean> {
  try {
    return (await request(socket, 'GET', '/_ping', { timeoutMs: 2000 })).status === 200;
  } catch {
    return false;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until the condition holds; fails with `what` when it does not in time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs * PATIENCE;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Not in time: ${what}`);
    await sleep(20);
  }
}

function ip(args: string[]): void {
  execFileSync('ip', args, { timeout: 5000, stdio: 'pipe' });
}

/**
 * dockerd leaves its iptables rules behind, and a FORWARD policy that drops what other engines' containers send: what was there
 * before comes back when it ends. A table that was not there comes back empty.
 */
function savedPacketRules(): string {
  const saved = execFileSync('iptables-save', { encoding: 'utf8', timeout: 10_000, stdio: 'pipe' });
  const empty = {
    filter: ['INPUT', 'FORWARD', 'OUTPUT'],
    nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  };
  const missing = Object.entries(empty).filter(([table]) => !saved.includes(`*${table}\n`));
  const tables = missing.map(
    ([table, chains]) => `*${table}\n${chains.map((chain) => `:${chain} ACCEPT [0:0]\n`).join('')}COMMIT\n`,
  );
  return saved + tables.join('');
}

function run(command: string, args: string[]): void {
  try {
    execFileSync(command, args, { timeout: 5000, stdio: 'pipe' });
  } catch {
    // Already gone.
  }
}
