import { after, before, describe, test } from 'node:test';

import { PATIENCE, startDaemon, type Daemon, type DaemonOptions } from '../daemons.ts';
import { busyboxImage, dockerArchive, layeredImage } from '../test-images.ts';
import { assertNoLeaks, hostSnapshot, type HostSnapshot } from '../leaks.ts';
import { Api } from './client.ts';
import { DIFFERENCES, HOST_DIFFERENCES } from './differences.ts';
import { BEHIND_BOTH_WALLS, NOT_IN_VM } from './walls.ts';

/** `vm` is Hull with microVMs for containers. */
type TestedEngine = 'hull' | 'vm' | 'docker';

/**
 * Runs the same checks against Hull, against a real dockerd, so that what they hold Hull to is what Docker does, and against Hull with
 * microVMs. `HULL_TEST_ENGINES=hull` (or `docker`, `vm`) picks one.
 */
const ENGINES = process.env.HULL_TEST_ENGINES?.split(',') as TestedEngine[] | undefined;
const VM_ALL = process.env.HULL_TEST_VM_ALL === '1';
const EMULATED = '--vm-accelerator=tcg';
const VM_FLAGS = ['--default-runtime=vm', EMULATED];

export interface Checks {
  /**
   * One named check. Where the table of differences lists it, dockerd must fail it: a difference that has gone is an error too.
   * What the second wall's table lists is left out there.
   */
  check: (name: string, run: (api: Api, daemon: Daemon) => Promise<void>) => void;
}

const CHECK_TIMEOUT_MS = 120_000 * PATIENCE;

export interface EngineOptions extends DaemonOptions {
  /** Made before the daemon starts, disposed after it has ended. */
  prepare?: () => Disposable;
  /** Hull's checks make microVMs of their own. */
  microvms?: boolean;
}

export function onEveryEngine(
  subject: string,
  define: (checks: Checks) => void,
  byDefault: readonly TestedEngine[] = ['hull', 'vm', 'docker'],
  options: EngineOptions = {},
): void {
  for (const engine of ENGINES ?? byDefault) {
    if (engine === 'vm' && !VM_ALL && !BEHIND_BOTH_WALLS.has(subject)) continue;
    describe(`${subject} on ${engine}`, () => {
      let daemon: Daemon;
      let snapshot: HostSnapshot;
      let prepared: Disposable | undefined;
      before(async () => {
        snapshot = hostSnapshot();
        prepared = options.prepare?.();
        const ours = engine === 'vm' ? VM_FLAGS : options.microvms === true ? [EMULATED] : [];
        daemon = await startDaemon(engine === 'vm' ? 'hull' : engine, {
          ...options,
          flags: [...(options.flags ?? []), ...ours],
          savedGuests: ours.length > 0,
        });
        const api = new Api(daemon.socket);
        const archive = dockerArchive([busyboxImage(), layeredImage()]);
        await api.post('/images/load?quiet=1', archive).is(200);
        // The first guest boots, the others go on from where it was saved.
        if (ours.length > 0) await api.output('true', { HostConfig: { Isolation: 'vm' } });
      });
      after(async () => {
        await daemon[Symbol.asyncDispose]();
        prepared?.[Symbol.dispose]();
        if (engine !== 'docker') await assertNoLeaks(snapshot, [daemon.directory]);
      });
      define({
        check: (name, run) => {
          const key = `${subject}: ${name}`;
          const reason = exceptions(engine)[key];
          if (engine === 'vm' && !VM_ALL && reason !== undefined) return;
          test(name, { timeout: CHECK_TIMEOUT_MS }, async () => {
            const api = new Api(daemon.socket, { described: engine !== 'docker' });
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
              throw new Error(`${engine} does this too now: drop the difference "${reason}"`);
          });
        },
      });
    });
  }
}

function exceptions(engine: TestedEngine): Record<string, string> {
  if (engine === 'hull') return {};
  return engine === 'vm' ? NOT_IN_VM : DIFFERENCES;
}
