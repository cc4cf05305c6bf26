import type { RuntimeSeccomp } from '#/oci/runtime-spec.ts';
import { defaultSeccomp, type SeccompTarget } from '#/oci/seccomp.ts';

const AF_UNIX = 1;

/**
 * What QEMU never does and who breaks out of it would: look into and drive its neighbours in the sandbox, who have its user and are not
 * filtered by this; be found where the engine looks for hull-vm; and whole subsystems of the kernel that have their history.
 */
const NEVER = new Set(
  `
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp
    pidfd_open pidfd_getfd pidfd_send_signal kill tkill rt_sigqueueinfo
    bind listen accept accept4
    io_uring_setup io_uring_enter io_uring_register userfaultfd bpf perf_event_open
    unshare setns chroot mknod mknodat name_to_handle_at fanotify_mark
    add_key request_key keyctl personality modify_ldt memfd_secret
    shmget shmat shmctl semget semop semctl msgget msgsnd msgrcv msgctl
    mq_open mq_unlink mq_notify mq_timedsend mq_timedreceive mq_getsetattr
  `
    .trim()
    .split(/\s+/),
);

/** Docker's default profile for a process without capabilities, less what QEMU needs none of; no sockets but unix ones. Pure. */
export function qemuSeccomp(target: Omit<SeccompTarget, 'capabilities'>): RuntimeSeccomp {
  const profile = defaultSeccomp({ ...target, capabilities: [] });
  const left = (profile.syscalls ?? []).flatMap((rule) => {
    const names = rule.names.filter((name) => !NEVER.has(name) && name !== 'socket');
    return names.length === 0 ? [] : [{ ...rule, names }];
  });
  const sockets = {
    names: ['socket'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value: AF_UNIX, op: 'SCMP_CMP_EQ' }],
  };
  // Of the machine's own alone: what other architectures call, in their ways round this, is killed.
  const architectures = (profile.architectures ?? []).slice(0, 1);
  return { ...profile, architectures, syscalls: [...left, sockets] };
}
