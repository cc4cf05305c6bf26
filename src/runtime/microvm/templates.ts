import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  createWriteStream,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createServer, createConnection, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { internal } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import type { Runtime, Task } from '#/runtime/runtime.ts';
import { GuestConnection } from './guest-connection.ts';
import { METHOD } from './guest-frames.ts';
import { SANDBOX, type VmInstallation } from './installation.ts';
import { Qmp } from './qmp.ts';
import { IGNORE_SHARED, type Machine, qemuCommand } from './qemu-command.ts';
import { sandboxSpec } from './sandbox-spec.ts';
import { noteSandbox } from './stray-sandboxes.ts';

/** A guest that has booted and was saved before it was told anything: every start goes on from it. */
export interface Template {
  /** The memory, a sparse file of its size; never written again. */
  ram: string;
  /** Everything else of the machine, as QEMU's migration stream. */
  state: string;
}

export interface TemplateContext {
  installation: VmInstallation;
  /** Runs the sandbox. */
  runtime: Runtime;
  /** Where tasks may be, on a tmpfs. */
  directory: string;
  cgroupsPath: (id: string) => string;
  tscKhz: number;
  architecture: string;
  kernel: string;
  logger: Logger;
}

const OWNER = { uid: 0x4000_0000, gid: 0x4000_0000 };
/** A guest without hardware's help on a busy host boots in seconds; one that never boots must not be waited for. */
const BOOT_DEADLINE_MS = { kvm: 10_000, tcg: 60_000 };
/** Free pages are reported two seconds after they were freed (mm/page_reporting.c); what is reported need not be saved. */
const REPORTING_MS = 2500;
const POLL_MS = 5;

/** The saved guests of an installation, one for each kind of machine; made when first wanted. */
export class Templates {
  readonly #context: TemplateContext;
  readonly #making = new Map<string, Promise<Template>>();

  constructor(context: TemplateContext) {
    this.#context = context;
  }

  /** Rejects when the machine does not boot. */
  async get(machine: Machine): Promise<Template> {
    const directory = this.#directory(machine);
    const template = { ram: path.join(directory, 'ram'), state: path.join(directory, 'state') };
    if (existsSync(template.state)) return template;
    const making = this.#making.get(directory) ?? this.#make(machine, directory, template);
    this.#making.set(directory, making);
    try {
      return await making;
    } finally {
      this.#making.delete(directory);
    }
  }

  #directory({ accelerator, cpus, memory }: Machine): string {
    const { installation } = this.#context;
    return path.join(installation.directory, `saved-${accelerator}-${cpus}-${memory / 2 ** 20}`);
  }

  async #make(machine: Machine, directory: string, template: Template): Promise<Template> {
    const { logger } = this.#context;
    const began = performance.now();
    // One engine alone has this data root: what is there of this name an earlier one has left.
    const unfinished = `${directory}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { mode: 0o711 });
    try {
      await this.#boot(machine, unfinished);
      chmodSync(path.join(unfinished, 'ram'), 0o444);
      chownSync(path.join(unfinished, 'ram'), 0, 0);
      renameSync(unfinished, directory);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
    logger.info('Saved a guest that has booted', {
      machine: `${machine.accelerator}, ${machine.cpus} CPUs, ${machine.memory / 2 ** 20} MiB`,
      ms: Math.round(performance.now() - began),
    });
    return template;
  }

  async #boot(machine: Machine, directory: string): Promise<void> {
    const id = randomBytes(32).toString('hex');
    const own = path.join(this.#context.directory, id.slice(0, 12));
    const shared = path.join(own, 'vm');
    const bundle = path.join(own, 'bundle');
    for (const each of [own, bundle, shared]) mkdirSync(each, { recursive: true, mode: 0o711 });
    chownSync(shared, OWNER.uid, OWNER.gid);
    noteSandbox(own, id);
    makeSparse(path.join(directory, 'ram'), machine.memory);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => rmSync(own, { recursive: true, force: true }));
    const task = await this.#start(machine, { id, bundle, own, shared, ram: path.join(directory, 'ram') });
    undo.defer(() => task.remove());
    undo.defer(async () => {
      await task.kill(9).catch(() => {});
      await task.exited;
    });
    await task.start();
    const ended = task.exited.then(({ code }) => {
      throw internal(`QEMU ended with ${code} while the guest booted`);
    });
    ended.catch(() => {});
    await Promise.race([ended, this.#save(machine, shared, path.join(directory, 'state'))]);
  }

  #start(
    machine: Machine,
    {
      id,
      bundle,
      own,
      shared,
      ram,
    }: { id: string; bundle: string; own: string; shared: string; ram: string },
  ): Promise<Task> {
    const { installation, runtime, tscKhz, architecture, kernel, cgroupsPath } = this.#context;
    const args = qemuCommand({
      machine,
      backing: { kind: 'file', path: '/run/ram', share: true },
      agent: 'socket,path=/run/vm/agent,server=on,wait=off',
      console: 'null',
      monitor: 'socket,path=/run/vm/qmp,server=on,wait=off',
      kernel: SANDBOX.kernel,
      initramfs: SANDBOX.initramfs,
      firmware: SANDBOX.firmware,
      tscKhz,
    });
    const spec = sandboxSpec({
      root: installation.root,
      args,
      owner: OWNER,
      capabilities: [],
      files: [
        { to: '/run/vm', from: shared, writable: true },
        { to: '/run/ram', from: ram, writable: true },
      ],
      accelerator: machine.accelerator,
      cgroupsPath: cgroupsPath(id),
      resources: {},
      terminal: false,
      architecture,
      kernel,
    });
    return runtime.create({ id, bundle, spec, directory: own, io: { terminal: false, stdin: false } });
  }

  async #save(machine: Machine, shared: string, state: string): Promise<void> {
    const deadline = AbortSignal.timeout(BOOT_DEADLINE_MS[machine.accelerator]);
    using qmp = await Qmp.open(await connected(path.join(shared, 'qmp'), deadline));
    {
      using agent = new GuestConnection(await connected(path.join(shared, 'agent'), deadline));
      const late = new Promise<never>((_, reject) => {
        deadline.addEventListener('abort', () => reject(internal('The guest did not boot in time')));
      });
      await Promise.race([agent.call(METHOD.ping).result, late]);
    }
    await sleep(REPORTING_MS);
    await qmp.execute('migrate-set-capabilities', IGNORE_SHARED);
    const socket = path.join(shared, 'state');
    const saved = await receive(socket, state);
    chmodSync(socket, 0o666);
    await qmp.execute('migrate', { uri: 'unix:/run/vm/state' });
    for (;;) {
      const { status, 'error-desc': why } = (await qmp.execute('query-migrate')) as Record<string, string>;
      if (status === 'completed') break;
      if (status === 'failed' || status === 'cancelled')
        throw internal(`QEMU cannot save a guest: ${why ?? status}`);
      await sleep(POLL_MS);
    }
    await saved.done;
  }
}

/** Listens at a path, and writes what the first who connects sends to a file. The inner promise is the file's end. */
async function receive(socket: string, file: string): Promise<{ done: Promise<void> }> {
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer((connection) => {
    server.close();
    pipeline(connection, createWriteStream(file, { mode: 0o444 })).then(resolve, reject);
  });
  await new Promise<void>((listening) => server.listen(socket, listening));
  return { done };
}

async function connected(file: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    signal.throwIfAborted();
    const socket = createConnection(file);
    const result = await new Promise<Error | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
    });
    if (result === undefined) return socket;
    await sleep(POLL_MS);
  }
}

function makeSparse(file: string, size: number): void {
  const fd = openSync(file, 'wx', 0o600);
  try {
    ftruncateSync(fd, size);
  } finally {
    closeSync(fd);
  }
  chownSync(file, OWNER.uid, OWNER.gid);
}
