import koffi from 'koffi';
import { internal } from '#/base/errors.ts';
import { libc, systemError } from './libc.ts';
import { MS_BIND, MS_RDONLY, MS_REC, parseMountFlags } from './mount-flags.ts';
import { setPropagation } from './mounts.ts';
import { run } from './process.ts';

const MS_REMOUNT = 32;

/** Filesystems of other machines: a call that mounts one may take minutes, so a process of its own makes it. */
const REMOTE = new Set(['nfs', 'nfs4', 'cifs', 'smb3', 'ceph', '9p', 'glusterfs']);
const REMOTE_DEADLINE_MS = 60_000;

/** Mounts a device, a directory or a share as `mount -t type -o options device target` does. `type` counts for nothing with `bind`. */
export async function mountFilesystem(
  device: string,
  target: string,
  type: string,
  options: string,
): Promise<void> {
  if (REMOTE.has(type)) return mountRemote(device, target, type, options);
  const { flags, data, propagation } = parseMountFlags(options);
  call(device, target, type, flags, data);
  // The kernel binds with the source's own flags, whatever the call says: a second one makes it read-only.
  if ((flags & MS_BIND) !== 0 && (flags & ~(MS_BIND | MS_REC)) !== 0) {
    call('', target, '', flags | MS_REMOUNT, '');
  }
  for (const mode of propagation) setPropagation(target, mode);
}

function call(device: string, target: string, type: string, flags: number, data: string): void {
  if (libc.mount(device, target, type, flags, data) !== -1) return;
  const { message } = systemError(koffi.errno(), 'mount');
  throw internal(mountFailure({ device, target, flags, data }, message));
}

async function mountRemote(device: string, target: string, type: string, options: string): Promise<void> {
  // -i: the kernel's own client, whatever helpers are installed.
  const args = ['-i', '-t', type, ...(options === '' ? [] : ['-o', options]), '--', device, target];
  const { code, stderr } = await run('mount', args, { timeoutMs: REMOTE_DEADLINE_MS });
  if (code === 0) return;
  const { flags, data } = parseMountFlags(options);
  // `mount: TARGET: REASON.` and a line of advice.
  const [said = ''] = stderr.toString().split('\n');
  const why = said.replace(`mount: ${target}: `, '').replace(/\.$/, '');
  throw internal(mountFailure({ device, target, flags: flags & ~MS_RDONLY, data }, why));
}

/** In the words of moby/sys's mount errors. */
function mountFailure(
  { device, target, flags, data }: { device: string; target: string; flags: number; data: string },
  why: string,
): string {
  const place = device === '' ? target : `${device}:${target}`;
  const bits = flags === 0 ? '' : `, flags: 0x${flags.toString(16)}`;
  const reason = /^[A-Z0-9]+: (.*), mount$/.exec(why)?.[1] ?? why;
  return `mount ${place}${bits}${data === '' ? '' : `, data: ${data}`}: ${reason}`;
}
