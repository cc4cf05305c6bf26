export const APPARMOR_PROFILE = 'hull-default';

/** Families that the seccomp profile refuses too; AppArmor also sees those that i386's socketcall(2) hides from a filter. */
const REFUSED_FAMILIES = 'ax25 ipx appletalk netrom rose econet atmsvc irda wanpipe alg vsock'.split(' ');

/**
 * The profile of containers that name none (apparmor.d(5)): what Docker's documentation says of docker-default. Everything is allowed that
 * namespaces confine; mounting, tracing what is outside, and writing to the kernel's files below /proc and /sys are not.
 */
export function apparmorProfileText(name: string = APPARMOR_PROFILE): string {
  // Directories of /proc whose names do not begin as a process's does, nor with s; what of those with s is not "sys".
  const foreign = '{[^1-9s]*,s[^y]*,sy[^s]*,sys?*}';
  return `@{PROC}=/proc/

profile ${name} flags=(attach_disconnected,mediate_deleted) {
  network,
${REFUSED_FAMILIES.map((family) => `  deny network ${family},`).join('\n')}
  capability,
  file,
  umount,
  deny mount,

  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send,receive) peer=${name},
  ptrace (trace,read,tracedby,readby) peer=${name},

  deny @{PROC}/* w,
  deny @{PROC}/${foreign}/** w,
  deny @{PROC}/sys/[^k]** w,
  deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,
  deny @{PROC}/sysrq-trigger rwklx,
  deny @{PROC}/kcore rwklx,

  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
`;
}
