import { closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { messageOf } from '#/base/errors.ts';
import { spawnDetached } from '#/host/process.ts';

/** A daemon is ready within a second; ten are for a host that is short of everything. */
const READY_WITHIN_MS = 10_000;
const OTHER_WITHIN_MS = 2000;
const POLL_MS = 20;

const LOG_FILE = '/var/log/hulld.log';
/** Of it, what is shown when the daemon did not come up: at most so many bytes, and lines. */
const LOG_SHOWN = 4096;
const LINES_SHOWN = 3;

/** Starts `hulld` in the background and resolves when it answers on `socketPath`. */
export async function startDaemon(socketPath: string): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      `Cannot connect to the Hull daemon at unix://${socketPath}. Is the hull daemon running?\n` +
        'Only root can start it: run "sudo hulld", or set HULL_HOST to a daemon that runs.',
    );
  }
  const daemon = path.join(path.dirname(process.argv[1] ?? ''), '..', 'bin', 'hulld');
  mkdirSync(path.dirname(LOG_FILE), { recursive: true });
  const log = openSync(LOG_FILE, 'a', 0o640);
  let ended: number | undefined;
  let deadline = performance.now() + READY_WITHIN_MS;
  const noteEnd = async (exited: Promise<number>): Promise<void> => {
    ended = await exited;
    // Another client may have started one at the same moment: then ours ends, and theirs answers soon.
    deadline = Math.min(deadline, performance.now() + OTHER_WITHIN_MS);
  };
  try {
    const child = await spawnDetached(daemon, [], { stdout: log, stderr: log, cwd: '/' });
    void noteEnd(child.exited);
  } catch (error) {
    throw new Error(`Cannot start the Hull daemon "${daemon}": ${messageOf(error)}`, { cause: error });
  } finally {
    closeSync(log);
  }
  while (!(await answers(socketPath))) {
    if (performance.now() > deadline) {
      const why = ended === undefined ? `does not answer on ${socketPath}` : `ended with code ${ended}`;
      throw new Error(`The Hull daemon was started and ${why}; ${LOG_FILE} says:\n${lastLines()}`);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

function lastLines(): string {
  const log = openSync(LOG_FILE, 'r');
  try {
    const end = Buffer.alloc(LOG_SHOWN);
    const length = readSync(log, end, 0, LOG_SHOWN, Math.max(0, fstatSync(log).size - LOG_SHOWN));
    return end.toString('utf8', 0, length).trimEnd().split('\n').slice(-LINES_SHOWN).join('\n');
  } finally {
    closeSync(log);
  }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
