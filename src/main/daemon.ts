import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ApiServer } from '#/api/server/api-server.ts';
import { HULL_VERSION } from '#/api/server/engine-version.ts';
import { isKind, messageOf } from '#/base/errors.ts';
import { Logger, type Phases } from '#/base/log.ts';
import { FlagError, type FlagSet } from '#/cli/flags/flag-set.ts';
import { lockFile } from '#/host/file-lock.ts';
import type { DaemonConfig } from './daemon-config.ts';
import { parseDaemonFlags } from './daemon-flags.ts';
import { type RunningEngine, startEngine } from './engine.ts';
import { releaseMemoryWhenIdle } from './idle-memory.ts';
import { type Listener, listen } from './listeners.ts';
import { writePidfile } from './pidfile.ts';
import { readConfig } from './read-config.ts';

/** How long requests may take to end when the daemon stops; containers have their own time. */
const DRAIN_MS = 1_000;
/** The signal that many times over ends the daemon at once, as in dockerd. */
const IMPATIENCE = 3;

/** `hulld`: parses, starts the engine, serves, and stops on a signal. Containers go on without it. */
async function main(argv: readonly string[]): Promise<void> {
  const flags = parseDaemonFlags(argv);
  if (flags.bool('help')) return printHelp();
  if (flags.bool('version')) {
    const commit = process.env['HULL_GIT_COMMIT'] ?? '';
    process.stdout.write(`Hull version ${HULL_VERSION}, build ${commit}\n`);
    return;
  }
  if (flags.args.length > 0) {
    throw new FlagError('"hulld" accepts no arguments.');
  }
  const config = readConfig(flags);
  if (flags.bool('validate')) {
    process.stdout.write('configuration OK\n');
    return;
  }
  const logger = new Logger(config.logLevel);
  const started = Promise.withResolvers<Daemon>();
  handleSignals(started.promise, logger);
  started.resolve(await Daemon.start(config, flags, logger));
  surviveErrors(logger);
}

/** A daemon that is told to end, or to read its configuration again, while it starts does so when it has started. */
function handleSignals(started: Promise<Daemon>, logger: Logger): void {
  let signals = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      logger.info(`Processing signal '${signal === 'SIGTERM' ? 'terminated' : 'interrupt'}'`);
      signals += 1;
      if (signals >= IMPATIENCE) process.exit(128 + os.constants.signals[signal]);
      void started.then((daemon) => daemon.stop()).then(() => process.exit(0));
    });
  }
  process.on('SIGHUP', () => void started.then((daemon) => daemon.reload()));
  // A closed terminal is no reason to stop serving.
  process.on('SIGPIPE', () => {});
}

/** One request's failure must not end everybody's: what it left undone is in the records. */
function surviveErrors(logger: Logger): void {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      const stack = error instanceof Error ? error.stack : undefined;
      logger.error(`Unexpected error: ${messageOf(error)}`, { stack });
    });
  }
}

class Daemon {
  readonly #flags: FlagSet;
  readonly #logger: Logger;
  readonly #engine: RunningEngine;
  readonly #server: ApiServer;
  readonly #listeners: Listener[];
  readonly #held: DisposableStack;
  #stopping: Promise<void> | undefined;

  private constructor(parts: {
    flags: FlagSet;
    logger: Logger;
    engine: RunningEngine;
    server: ApiServer;
    listeners: Listener[];
    held: DisposableStack;
  }) {
    this.#flags = parts.flags;
    this.#logger = parts.logger;
    this.#engine = parts.engine;
    this.#server = parts.server;
    this.#listeners = parts.listeners;
    this.#held = parts.held;
  }

  static async start(config: DaemonConfig, flags: FlagSet, logger: Logger): Promise<Daemon> {
    const phases = logger.phases('daemon ready');
    warnOfWithoutEffect(config, logger);
    // Held until this process ends: pidfile and the data root.
    using held = new DisposableStack();
    held.use(writePidfile(config.pidfile));
    mkdirSync(config.dataRoot, { recursive: true, mode: 0o710 });
    mkdirSync(config.execRoot, { recursive: true, mode: 0o711 });
    held.use(lockRoot(config.dataRoot));
    phases.mark('locks');
    const engine = await startEngine(config, logger);
    // A daemon that cannot listen after all leaves nothing on the host either.
    await using undo = new AsyncDisposableStack();
    undo.defer(() => engine.shutdown());
    phases.mark('engine');
    const server = new ApiServer({ engine: engine.api, logger, experimental: config.experimental });
    const listeners = await listenAll(config, server, logger);
    if (config.metricsAddress !== undefined) {
      const { serveMetrics } = await import('./metrics.ts');
      await serveMetrics(config.metricsAddress, () => engine.api.system.info());
    }
    releaseMemoryWhenIdle(() => server.served);
    announce(listeners, logger, phases);
    undo.move();
    return new Daemon({ flags, logger, engine, server, listeners, held: held.move() });
  }

  /** Ends requests, lets the engine put down its work, and takes back what shows that a daemon runs. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const phases = this.#logger.phases('daemon stopped');
    for (const listener of this.#listeners) listener.close();
    await this.#server.stop(DRAIN_MS);
    phases.mark('requests');
    await this.#engine.shutdown().catch((error: unknown) => {
      this.#logger.error(`Error during shutdown: ${messageOf(error)}`);
    });
    phases.mark('engine');
    this.#held.dispose();
    this.#logger.info('Daemon shutdown complete');
    phases.done();
  }

  /** Reads the configuration again: what can change while running does, the rest waits for the next start. */
  reload(): void {
    try {
      const config = readConfig(this.#flags);
      this.#engine.reload(config);
      this.#logger.level = config.logLevel;
      this.#logger.info('Reloaded configuration', { file: config.configFile });
    } catch (error) {
      this.#logger.error(messageOf(error));
    }
  }
}

function warnOfWithoutEffect(config: DaemonConfig, logger: Logger): void {
  for (const name of config.withoutEffect) {
    logger.warn(`The setting "${name}" is taken for dockerd's sake and has no effect`);
  }
}

function lockRoot(dataRoot: string): Disposable {
  try {
    return lockFile(path.join(dataRoot, 'hulld.lock'));
  } catch (error) {
    if (!isKind(error, 'conflict')) throw error;
    throw new Error(`failed to start daemon: another daemon uses the data root "${dataRoot}"`, {
      cause: error,
    });
  }
}

async function listenAll(config: DaemonConfig, server: ApiServer, logger: Logger): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const host of config.hosts) {
      listeners.push(
        ...(await listen(host, { config, logger, createServer: (tls) => server.createServer(tls) })),
      );
    }
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw new Error(`failed to load listeners: ${messageOf(error)}`, { cause: error });
  }
  return listeners;
}

function announce(listeners: readonly Listener[], logger: Logger, phases: Phases): void {
  logger.info('Daemon has completed initialization');
  // Programs that start a dockerd wait for this line.
  for (const listener of listeners) logger.info(`API listen on ${listener.address}`);
  phases.mark('listeners');
  phases.done({
    sinceProcessStart: Math.round(performance.now()),
    rssMB: Math.round(process.memoryUsage.rss() / 1e6),
  });
}

async function printHelp(): Promise<void> {
  const { daemonHelp } = await import('./daemon-help.ts');
  process.stdout.write(daemonHelp());
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const hint = error instanceof FlagError ? "\nSee 'hulld --help'." : '';
  process.stderr.write(`${messageOf(error)}${hint}\n`);
  process.exit(1);
});
