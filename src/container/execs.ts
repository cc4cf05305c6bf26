import { readFileSync } from 'node:fs';
import path from 'node:path';
import { conflict, EngineError, invalid, messageOf, notFound } from '#/base/errors.ts';
import { newId } from '#/base/ids.ts';
import { CAPABILITIES, capabilitySet, processCapabilities } from '#/oci/capabilities.ts';
import { mappedRoot } from '#/oci/id-mapping.ts';
import type { RuntimeProcess, RuntimeSpec } from '#/oci/runtime-spec.ts';
import type { Attachment, ExecTask, GuestUser, TerminalSize } from '#/runtime/runtime.ts';
import type { ExecConfig, ExecInspectResponse } from '#/wire/generated.ts';
import type { Container } from './containers.ts';
import { type ContainerContext, publish } from './context.ts';
import { hasOwnKernel } from './create/isolation.ts';
import { processEnv } from './create/merge-config.ts';
import { isRunning } from './record.ts';
import { startFailure } from './start/start-error.ts';
import { lookupUser, UNKNOWN_USER } from './start/user.ts';

interface Exec {
  id: string;
  container: Container;
  config: ExecConfig;
  task: ExecTask | undefined;
  state: 'created' | 'running' | 'exited';
  exitCode: number | null;
  pid: number;
}

export interface ExecSession {
  terminal: boolean;
  /** Comes once it runs; of a command that cannot run it is rejected, as `invalid` in Docker's words. */
  attachment: Promise<Attachment>;
  /** Resolves when `inspect` knows the exit code. */
  settled: Promise<void>;
  /** To be called when the client lets go by its detach keys. */
  detached: () => void;
}

// Finished ones are kept for as long as a client may yet ask for the exit code; Docker collects them after five minutes.
const KEPT_MS = 300_000;

/** Further processes in running containers. They live as long as this engine knows them: clients do not outlive it either. */
export class Execs {
  readonly #context: ContainerContext;
  readonly #execs = new Map<string, Exec>();

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  idsOf(containerId: string): string[] {
    return [...this.#execs.values()]
      .filter((exec) => exec.container.id === containerId && exec.state !== 'exited')
      .map((exec) => exec.id);
  }

  async create(reference: string, config: ExecConfig): Promise<{ Id: string }> {
    const container = this.#context.containers.get(reference);
    refuseNotRunning(container);
    if (!config.Cmd?.length) throw invalid('No exec command specified');
    for (const variable of config.Env ?? []) {
      if (variable === '' || variable.startsWith('='))
        throw invalid(`invalid environment variable: ${variable}`);
    }
    const id = newId();
    this.#execs.set(id, { id, container, config, task: undefined, state: 'created', exitCode: null, pid: 0 });
    publish(this.#context.events, container, `exec_create: ${commandWords(config)}`, { execID: id });
    return { Id: id };
  }

  /** Runs it, attached unless `detach`: then it runs already when this resolves. */
  async start(
    id: string,
    options: { detach: boolean; consoleSize?: TerminalSize },
  ): Promise<ExecSession | undefined> {
    const exec = this.#get(id);
    refuseNotRunning(exec.container);
    if (exec.state === 'running') throw conflict(`Error: Exec command ${id} is already running`);
    if (exec.state === 'exited') throw conflict(`Error: Exec command ${id} has already run`);
    exec.state = 'running';
    const running = this.#run(exec, options);
    if (options.detach) {
      const { attachment } = await running;
      attachment[Symbol.dispose]();
      return undefined;
    }
    return {
      terminal: exec.config.Tty ?? false,
      attachment: running.then(({ attachment }) => attachment),
      settled: running.then(
        ({ settled }) => settled,
        () => {},
      ),
      detached: () => publish(this.#context.events, exec.container, 'exec_detach', { execID: exec.id }),
    };
  }

  inspect(id: string): ExecInspectResponse {
    const { container, config, state, exitCode, pid } = this.#get(id);
    const [entrypoint = '', ...args] = config.Cmd ?? [];
    return {
      ID: id,
      Running: state === 'running',
      // Null until there is one: that is how clients tell, whatever the description says.
      ExitCode: exitCode as number,
      ProcessConfig: {
        tty: config.Tty ?? false,
        entrypoint,
        arguments: args,
        privileged: config.Privileged ?? false,
        ...(config.User ? { user: config.User } : {}),
      },
      OpenStdin: config.AttachStdin ?? false,
      OpenStderr: config.AttachStderr ?? false,
      OpenStdout: config.AttachStdout ?? false,
      CanRemove: false,
      ContainerID: container.id,
      DetachKeys: config.DetachKeys ?? '',
      Pid: pid,
    };
  }

  async resize(id: string, size: TerminalSize): Promise<void> {
    const exec = this.#get(id);
    if (exec.state !== 'running' || exec.task === undefined) throw conflict(`exec ${id} is not running`);
    await exec.task.resize(size);
  }

  #get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw notFound(`No such exec instance: ${id}`);
    return exec;
  }

  async #run(
    exec: Exec,
    options: { consoleSize?: TerminalSize },
  ): Promise<{ attachment: Attachment; settled: Promise<void> }> {
    const { container, config } = exec;
    const { task } = container;
    const { idMapping } = container.record;
    const phases = this.#context.logger.phases('exec');
    try {
      if (task === undefined) throw notRunning(container);
      const process = await this.#process(container, config);
      const size = options.consoleSize ?? consoleSize(config);
      if (config.Tty && size !== undefined) process.consoleSize = { height: size.rows, width: size.columns };
      phases.mark('process');
      const execTask = await task.exec({
        id: exec.id,
        process,
        user: execUser(container, config),
        io: {
          terminal: config.Tty ?? false,
          stdin: config.AttachStdin ?? false,
          stdinOnce: true,
          size,
          ...(idMapping === undefined ? {} : { owner: mappedRoot(idMapping) }),
        },
      });
      exec.task = execTask;
      phases.mark('monitor');
      const attachment = await execTask.attach({
        stdin: config.AttachStdin ?? false,
        output: (config.AttachStdout ?? false) || (config.AttachStderr ?? false),
      });
      const settled = this.#await(exec, execTask);
      try {
        await execTask.start();
      } catch (error) {
        throw this.#notRun(exec, error);
      }
      phases.mark('runtime');
      exec.pid = execTask.pid;
      publish(this.#context.events, container, `exec_start: ${commandWords(config)}`, {
        execID: exec.id,
      });
      phases.done({ id: exec.id.slice(0, 12) });
      return { attachment, settled };
    } catch (error) {
      exec.state = 'exited';
      exec.exitCode ??= 126;
      if (!(error instanceof EngineError)) {
        this.#context.logger.error('Cannot run an exec', { id: exec.id, error: messageOf(error) });
      }
      throw error;
    }
  }

  #notRun(exec: Exec, error: unknown): EngineError {
    const failure = startFailure(exec.container.record.runtime, messageOf(error), exec.config.Cmd?.[0] ?? '');
    exec.exitCode = failure.exitCode;
    const words = failure.error.message.replace(
      /^.*?OCI runtime create failed: (?:\w+ create failed:)?/,
      'OCI runtime exec failed: exec failed:',
    );
    return new EngineError(failure.error.kind, words, { cause: error });
  }

  async #await(exec: Exec, task: ExecTask): Promise<void> {
    const { code } = await task.exited;
    exec.state = 'exited';
    exec.exitCode ??= code;
    exec.pid = 0;
    try {
      await task.remove();
    } catch (error) {
      this.#context.logger.warn('Cannot remove what an exec left', { id: exec.id, error: messageOf(error) });
    }
    publish(this.#context.events, exec.container, 'exec_die', { execID: exec.id, exitCode: String(code) });
    setTimeout(() => this.#execs.delete(exec.id), KEPT_MS).unref();
  }

  /** The container's own process with what this one has otherwise. */
  async #process(container: Container, config: ExecConfig): Promise<RuntimeProcess> {
    const { record } = container;
    const { paths, host } = this.#context;
    const bundle = JSON.parse(
      readFileSync(path.join(paths.bundle(record.id), 'config.json'), 'utf8'),
    ) as RuntimeSpec;
    const asked = execUser(container, config);
    const isGuest = hasOwnKernel(this.#context.runtimes.get(record.runtime));
    const user = isGuest
      ? UNKNOWN_USER
      : lookupUser(`/proc/${record.state.pid}/root`, asked.user, asked.groups);
    const capabilities = capabilitySet({
      add: record.hostConfig.CapAdd,
      drop: record.hostConfig.CapDrop,
      privileged: config.Privileged || record.hostConfig.Privileged,
      available: isGuest ? CAPABILITIES : host.capabilities,
    });
    return {
      ...bundle.process,
      ...(config.Privileged && bundle.process.apparmorProfile !== undefined
        ? { apparmorProfile: 'unconfined' }
        : {}),
      terminal: config.Tty ?? false,
      consoleSize: undefined,
      user: { uid: user.uid, gid: user.gid, additionalGids: [user.gid, ...user.additionalGids] },
      args: config.Cmd ?? [],
      env: processEnv(
        { ...record.config, Tty: config.Tty, Env: [...(record.config.Env ?? []), ...(config.Env ?? [])] },
        record.config.Hostname ?? '',
        user.home,
      ),
      cwd: config.WorkingDir || record.config.WorkingDir || '/',
      capabilities: processCapabilities(capabilities, user.uid),
    };
  }
}

function execUser({ record }: Container, config: ExecConfig): GuestUser {
  return { user: config.User || record.config.User || '', groups: record.hostConfig.GroupAdd ?? [] };
}

/** As moby writes it (daemon/exec.go): the program, a blank, the arguments, so that a program alone has a blank behind it. */
function commandWords({ Cmd: [program = '', ...args] = [] }: ExecConfig): string {
  return `${program} ${args.join(' ')}`;
}

function consoleSize(config: ExecConfig): TerminalSize | undefined {
  const [rows, columns] = config.ConsoleSize ?? [];
  return rows && columns ? { rows, columns } : undefined;
}

function refuseNotRunning(container: Container): void {
  if (container.record.state.status === 'paused') {
    throw conflict(`Container ${container.record.name} is paused, unpause the container before exec`);
  }
  if (!isRunning(container.record)) throw notRunning(container);
}

function notRunning(container: Container): EngineError {
  return conflict(`container ${container.id} is not running`);
}
