import { readdirSync, readFileSync } from 'node:fs';

import { Api } from '../api/client.ts';
import { type Daemon, startDaemon, until } from '../daemons.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';

/** A daemon whose microVMs need no KVM, with busybox; and with guests that others have saved, unless told otherwise. */
export async function startVmDaemon({ savedGuests = true } = {}): Promise<{ daemon: Daemon; api: Api }> {
  const daemon = await startDaemon('hull', { flags: ['--vm-accelerator', 'tcg'], savedGuests });
  try {
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    return { daemon, api };
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}

/** What makes a container a microVM. */
export function vm(hostConfig: Record<string, unknown> = {}): Record<string, unknown> {
  return { HostConfig: { Runtime: 'vm', ...hostConfig } };
}

/** The processes on the host's side of a microVM, by their names. */
export interface VmProcesses {
  monitor: number;
  hullVm: number;
  qemu: number;
}

/** Those of the container with this pid in its State. */
export async function processesOf(api: Api, id: string): Promise<VmProcesses> {
  const state = (await api.get(`/containers/${id}/json`).is(200)) as { State: { Pid: number } };
  const hullVm = state.State.Pid;
  let qemu = 0;
  await until(`QEMU of ${id} runs`, () => {
    qemu = childrenOf(hullVm).find((pid) => nameOf(pid).startsWith('qemu-system')) ?? 0;
    return qemu !== 0;
  });
  return { monitor: Number(field(hullVm, 'PPid')), hullVm, qemu };
}

/** A line of /proc/PID/status, without its name; empty when there is none. */
export function field(pid: number, name: string): string {
  return new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text(`/proc/${pid}/status`))?.[1]?.trim() ?? '';
}

export function nameOf(pid: number): string {
  return text(`/proc/${pid}/comm`).trim();
}

export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && field(Number(name), 'PPid') === String(pid))
    .map(Number);
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
