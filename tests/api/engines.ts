import { after, before, describe, test } from 'node:test';

import { PATIENCE, startDaemon, type Daemon, type DaemonOptions, type EngineName } from '../daemons.ts';
import { busyboxImage, dockerArchive, layeredImage } from '../test-images.ts';
import { assertNoLeaks, hostSnapshot, type HostSnapshot } from '../leaks.ts';
import { Api } from './client.ts';
import { DIFFERENCES, HOST_DIFFERENCES } from './differences.ts';

/**
 * Runs the same checks against Hull and against a real dockerd, so that what they hold Hull to is what Docker does.
 * `HULL_TEST_ENGINES=hull` (or `docker`) picks one.
 */
const ENGINES = process.env.HULL_TEST_ENGINES?.split(',') as EngineName[] | undefined;

export interface Checks {
  /** One named check. Where the table of differences lists it, dockerd must fail it: a difference that has gone is an error too. */
  check: (name: string, run: (api: Api, daemon: Daemon) => Promise<void>) => void;
}

const CHECK_TIMEOUT_MS = 60_000 * PATIENCE;

export interface EngineOptions extends DaemonOptions {
  /** Made before the daemon starts, disposed after it has ended. */
  prepare?: () => Disposable;
}

export function onEveryEngine(
  subject: string,
  define: (checks: Checks) => void,
  byDefault: readonly EngineName[] = ['hull', 'docker'],
  options: EngineOptions = {},
): void {
  for (const engine of ENGINES ?? byDefault) {
    describe(`${subject} on ${engine}`, () => {
      let daemon: Daemon;
      let snapshot: HostSnapshot;
      let prepared: Disposable | undefined;
      before(async () => {
        snapshot = hostSnapshot();
        prepared = options.prepare?.();
        daemon = await startDaemon(engine, options);
        const archive = dockerArchive([busyboxImage(), layeredImage()]);
        await new Api(daemon.socket).post('/images/load?quiet=1', archive).is(200);
      });
      after(async () => {
        await daemon[Symbol.asyncDispose]();
        prepared?.[Symbol.dispose]();
        if (engine === 'hull') await assertNoLeaks(snapshot, [daemon.directory]);
      });
      define({
        check: (name, run) => {
          test(name, { timeout: CHECK_TIMEOUT_MS }, async () => {
            const key = `${subject}: ${name}`;
            const reason = engine === 'docker' ? DIFFERENCES[key] : undefined;
            const api = new Api(daemon.socket, { described: engine === 'hull' });
            try {
              await run(api, daemon);
            } catch (error) {
              if (reason !== undefined || (engine === 'docker' && HOST_DIFFERENCES[key] !== undefined))
                return;
              throw error;
            } finally {
              await daemon.removeContainers();
            }
            if (reason !== undefined)
              throw new Error(`dockerd does this too now: drop the difference "${reason}"`);
          });
        },
      });
    });
  }
}
