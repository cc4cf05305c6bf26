import { createWriteStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { conflict, errnoCode, internal } from '#/base/errors.ts';
import { run } from '#/host/process.ts';
import { UNFINISHED_CHECKPOINT } from '../runtime.ts';
import type { GuestConnection } from './guest-connection.ts';
import { CHANNEL, METHOD } from './guest-frames.ts';
import type { Machine } from './qemu-command.ts';
import { Records, TAG } from './records.ts';
import { withDeadline } from './with-deadline.ts';

/** What must be the same when a saved VM goes on. */
export interface SavedVm {
  /** Name of the installation that it ran from. */
  installation: string;
  machine: Machine;
}

/** In the checkpoint's directory. */
const STATE = 'state';
const DISK = 'disk';
const SAVED = 'vm.json';
/** A VM stands still for as long as its memory is written and its disk is copied. */
const DEADLINE_MS = 600_000;
const GO_ON_DEADLINE_MS = 60_000;
/** Of the state, beside the memory. A QEMU that was broken into is not to fill the host's disk. */
const DEVICES_MOST = 256 << 20;
/** Bytes of the state that wait for the host's disk. */
const WAITING_MOST = 1 << 20;

export interface SaveOptions {
  directory: string;
  saved: SavedVm;
  /** The writable disk. */
  top: string;
  leaveRunning: boolean;
}

/**
 * Writes a VM's state and, while it stands still, a copy of its disk: what its kernel knows of the disk is part of its memory. Whatever
 * fails, and when this engine dies, hull-vm lets the VM go on.
 */
export async function saveVm(guest: GuestConnection, options: SaveOptions): Promise<void> {
  const { directory, saved, top, leaveRunning } = options;
  const unfinished = path.join(directory, UNFINISHED_CHECKPOINT);
  writeFileSync(unfinished, '', { mode: 0o600 });
  const stopped = Promise.withResolvers<void>();
  const state = createWriteStream(path.join(directory, STATE), {
    flags: 'wx',
    mode: 0o600,
    flush: true,
    highWaterMark: WAITING_MOST,
  });
  state.on('error', () => {});
  const written = finished(state);
  let length = 0;
  const body = new Records();
  if (!leaveRunning) body.add(TAG.end);
  const call = guest.call(METHOD.checkpoint, body.encode(), {
    event: () => stopped.resolve(),
    data: (_, piece, taken) => {
      length += piece.length;
      if (length > saved.machine.memory + DEVICES_MOST) state.destroy(internal('The state is too long'));
      else if (piece.length === 0) state.end();
      else if (state.write(piece)) taken();
      else state.once('drain', taken);
    },
  });
  const disk = stopped.promise.then(() => copyDisk(top, path.join(directory, DISK)));
  const early = call.result.then(() => {
    throw internal('The microVM ended a checkpoint that was not kept yet');
  });
  early.catch(() => {});
  try {
    await withDeadline(Promise.race([early, Promise.all([written, disk])]), DEADLINE_MS);
    writeFileSync(path.join(directory, SAVED), JSON.stringify(saved), { mode: 0o600, flush: true });
    rmSync(unfinished);
  } catch (error) {
    call.cancel();
    stopped.reject(error);
    await withDeadline(call.result, GO_ON_DEADLINE_MS).catch(() => {});
    state.destroy();
    await Promise.allSettled([written, disk]);
    throw error;
  }
  call.send(CHANNEL.in, Buffer.alloc(0));
  await withDeadline(call.result, GO_ON_DEADLINE_MS);
}

/** What is in a checkpoint of a microVM. */
export function readCheckpoint(directory: string): { saved: SavedVm; state: string; disk: string } {
  try {
    const saved = JSON.parse(readFileSync(path.join(directory, SAVED), 'utf8')) as SavedVm;
    return { saved, state: path.join(directory, STATE), disk: path.join(directory, DISK) };
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    throw conflict(`"${directory}" is no checkpoint of a microVM`, { cause: error });
  }
}

/** As small as its content, and shared with the original where the filesystem can. It is there after a power cut, too. */
export async function copyDisk(from: string, to: string): Promise<void> {
  const options = ['--reflink=auto', '--sparse=always', '--preserve=mode,ownership', '-T', '--'];
  const { code, stderr } = await run('cp', [...options, from, to], { timeoutMs: DEADLINE_MS });
  if (code !== 0) throw internal(`Cannot copy the disk: ${stderr.toString().trim()}`);
  await using file = await open(to);
  await file.sync();
}
