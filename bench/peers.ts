import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { CHECKOUT, mountsUnder, request, sleep, startDaemon, type Daemon } from '../tests/daemons.ts';

/** An engine under measurement: its CLI and its API, on roots of its own. */
export interface Peer {
  readonly name: 'hull' | 'docker' | 'podman';
  /** What its users type: the docker CLI for Hull and for dockerd, so that the same client is in both figures. */
  readonly cli: Cli;
  /** The CLI that the engine brings along itself. */
  readonly ownCli: Cli;
  /** Unix socket that speaks the Docker Engine API. */
  readonly socket: string;
  /** Resident memory of its daemons, in bytes; 0 without one. */
  daemonMemory(): number;
  [Symbol.asyncDispose](): Promise<void>;
}

const CLI_TIMEOUT_MS = 300_000;

/** A CLI by its program, leading arguments and environment. */
export class Cli {
  readonly #program: string;
  readonly #leading: string[];
  readonly #environment: NodeJS.ProcessEnv;

  constructor(program: string, leading: string[], environment: Record<string, string>) {
    this.#program = program;
    this.#leading = leading;
    this.#environment = { ...process.env, ...environment };
  }

  /** Runs it to the end; what it wrote. Fails on any other exit code than 0. */
  run(...args: string[]): string {
    const done = spawnSync(this.#program, [...this.#leading, ...args], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: CLI_TIMEOUT_MS,
      encoding: 'utf8',
    });
    if (done.status !== 0)
      throw new Error(`${this.#program} ${args.join(' ')}: ${done.status} ${done.stderr}`);
    return done.stdout.trim();
  }

  /** Runs it to the end; milliseconds until it wrote its first byte. */
  firstOutput(...args: string[]): Promise<number> {
    return new Promise((resolve, reject) => {
      const began = performance.now();
      let first: number | undefined;
      const child = spawn(this.#program, [...this.#leading, ...args], {
        env: this.#environment,
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: CLI_TIMEOUT_MS,
      });
      child.stdout.on('data', () => (first ??= performance.now() - began));
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0 && first !== undefined
          ? resolve(first)
          : reject(new Error(`${this.#program} ${args.join(' ')}: exit code ${code}`)),
      );
    });
  }

  /** Runs it as a child process, for several at once. */
  runAsync(...args: string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.#program, [...this.#leading, ...args], {
        env: this.#environment,
        stdio: 'ignore',
        timeout: CLI_TIMEOUT_MS,
      });
      child.on('error', reject);
      child.on('exit', (code) =>
        code === 0 ? resolve() : reject(new Error(`${this.#program} ${args.join(' ')}: exit code ${code}`)),
      );
    });
  }
}

class DaemonPeer implements Peer {
  readonly name: 'hull' | 'docker';
  readonly cli: Cli;
  readonly ownCli: Cli;
  readonly #daemon: Daemon;

  constructor(name: 'hull' | 'docker', daemon: Daemon) {
    this.name = name;
    this.#daemon = daemon;
    const environment = { DOCKER_HOST: daemon.host };
    this.cli = new Cli('docker', [], environment);
    this.ownCli = name === 'hull' ? new Cli(path.join(CHECKOUT, 'bin/hull'), [], environment) : this.cli;
  }

  get socket(): string {
    return this.#daemon.socket;
  }
  daemonMemory(): number {
    const { pid } = this.#daemon;
    return [pid, ...childrenOf(pid).filter((child) => procField(child, 'Name') === 'containerd')]
      .map((each) => Number.parseInt(procField(each, 'VmRSS'), 10) * 1024)
      .reduce((sum, bytes) => sum + bytes, 0);
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.#daemon[Symbol.asyncDispose]();
  }
}

/** Podman keeps no daemon; its API is served by a process of its own for the rows that want it. */
class PodmanPeer implements Peer {
  readonly name = 'podman';
  readonly socket: string;
  readonly cli: Cli;
  readonly #directory: string;
  #service: ChildProcess | undefined;

  constructor() {
    this.#directory = mkdtempSync(path.join(tmpdir(), 'podman-bench-'));
    this.socket = path.join(this.#directory, 'podman.sock');
    const config = path.join(this.#directory, 'containers.conf');
    // Podman asks for limits above the hard ones of a root without CAP_SYS_RESOURCE unless it is told others.
    writeFileSync(config, '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]\n');
    const run = path.join(this.#directory, 'run');
    mkdirSync(run);
    this.cli = new Cli('podman', ['--root', path.join(this.#directory, 'root'), '--runroot', run], {
      CONTAINERS_CONF: config,
    });
  }

  get ownCli(): Cli {
    return this.cli;
  }

  async startService(): Promise<void> {
    const config = path.join(this.#directory, 'containers.conf');
    const roots = [
      '--root',
      path.join(this.#directory, 'root'),
      '--runroot',
      path.join(this.#directory, 'run'),
    ];
    this.#service = spawn('podman', [...roots, 'system', 'service', '--time=0', `unix://${this.socket}`], {
      env: { ...process.env, CONTAINERS_CONF: config },
      stdio: 'ignore',
    });
    for (let tries = 0; !existsSync(this.socket) && tries < 200; tries++) await sleep(50);
    await request(this.socket, 'GET', '/_ping');
  }

  daemonMemory(): number {
    return 0;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#service?.kill();
    try {
      this.cli.run('rm', '-af', '-t', '0');
      this.cli.run('rmi', '-af');
    } catch {
      // Whatever is left goes with the directory.
    }
    for (const mount of mountsUnder(this.#directory).reverse()) spawnSync('umount', ['-l', mount]);
    rmSync(this.#directory, { recursive: true, force: true });
    if (existsSync('/sys/class/net/cni-podman0')) execFileSync('ip', ['link', 'del', 'cni-podman0']);
  }
}

/** `flags` are the daemon's, beside its roots and its socket. */
export async function startPeer(name: Peer['name'], flags: string[] = []): Promise<Peer> {
  if (name !== 'podman') return new DaemonPeer(name, await startDaemon(name, { flags }));
  const podman = new PodmanPeer();
  await podman.startService();
  return podman;
}

/** A field of /proc/PID/status, "" when there is none. */
export function procField(pid: number, field: string): string {
  const file = `/proc/${pid}/status`;
  const status = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => procField(child, 'PPid') === String(pid));
}
