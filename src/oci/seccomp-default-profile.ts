import type { RuntimeSyscallArgument } from './runtime-spec.ts';
import type { SeccompProfile, SeccompProfileRule } from './seccomp.ts';

/**
 * Docker's default seccomp profile as its documentation lists it: everything is refused with EPERM but what stands here. What
 * creates namespaces, mounts, loads code into the kernel, reads other processes or sets the clock needs the capability that the
 * kernel itself asks for. io_uring is refused: it gets round the filter.
 */
const FILES = `
  open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv preadv2 pwritev pwritev2 lseek
  _llseek sendfile sendfile64 splice tee vmsplice copy_file_range fallocate fadvise64 fadvise64_64 readahead cachestat
  truncate truncate64 ftruncate ftruncate64 fsync fdatasync sync syncfs sync_file_range flock fcntl fcntl64 ioctl dup dup2 dup3
  stat stat64 fstat fstat64 lstat lstat64 newfstatat fstatat64 statx statfs statfs64 fstatfs fstatfs64 statmount listmount
  access faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 lchown lchown32 fchownat umask
  utime utimes utimensat utimensat_time64 futimesat link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename
  renameat renameat2 mkdir mkdirat rmdir mknod mknodat chdir fchdir getcwd getdents getdents64 name_to_handle_at
  getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr listxattrat
  removexattr lremovexattr fremovexattr removexattrat inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
  fanotify_mark io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set
`;

const WAITING = `
  poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
  epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 pipe pipe2 pause nanosleep
  clock_nanosleep clock_nanosleep_time64 futex futex_time64 futex_wait futex_waitv futex_wake futex_requeue
  set_robust_list get_robust_list restart_syscall membarrier rseq
`;

const TIME = `
  time times gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_adjtime clock_adjtime64 adjtimex
  alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
  timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
`;

const SOCKETS = `
  accept accept4 bind connect listen shutdown socketcall socketpair getpeername getsockname getsockopt setsockopt
  send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
`;

const MEMORY = `
  brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall remap_file_pages mseal
  map_shadow_stack memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect process_mrelease
`;

const PROCESSES = `
  execve execveat exit exit_group fork vfork wait4 waitid waitpid kill tkill tgkill pidfd_open pidfd_send_signal
  getpid getppid gettid getpgid getpgrp setpgid getsid setsid getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32
  getresuid getresuid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid
  setregid32 setresuid setresuid32 setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32
  capget capset prctl seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self uretprobe
  getrlimit ugetrlimit setrlimit prlimit64 getrusage getpriority setpriority sched_yield sched_getaffinity sched_setaffinity
  sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max
  sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64 getcpu set_tid_address get_thread_area
  set_thread_area uname sysinfo getrandom
`;

const SIGNALS = `
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
  rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn
`;

const SYSTEM_V_AND_QUEUES = `
  ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
  mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
`;

const WITH_CAPABILITY: [capability: string, names: string][] = [
  ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
  [
    'CAP_SYS_ADMIN',
    `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
     lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree
     perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare`,
  ],
  ['CAP_SYS_BOOT', 'reboot'],
  ['CAP_SYS_CHROOT', 'chroot'],
  ['CAP_SYS_MODULE', 'delete_module init_module finit_module'],
  ['CAP_SYS_PACCT', 'acct'],
  ['CAP_SYS_PTRACE', 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace'],
  ['CAP_SYS_RAWIO', 'iopl ioperm'],
  ['CAP_SYS_TIME', 'settimeofday stime clock_settime clock_settime64'],
  ['CAP_SYS_TTY_CONFIG', 'vhangup'],
  ['CAP_SYS_NICE', 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'],
  ['CAP_SYSLOG', 'syslog'],
  ['CAP_BPF', 'bpf'],
  ['CAP_PERFMON', 'perf_event_open'],
];

const WITH_ARCHITECTURE: [architectures: string[], names: string][] = [
  [['ppc64le'], 'sync_file_range2 swapcontext'],
  [['arm', 'arm64'], 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls'],
  [['amd64', 'x32'], 'arch_prctl'],
  [['amd64', 'x32', 'x86'], 'modify_ldt'],
  [['s390', 's390x'], 's390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr'],
  [['riscv64'], 'riscv_flush_icache riscv_hwprobe'],
];

/** personality(2): none, PER_LINUX32, UNAME26 and both, and the query 0xffffffff. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const CLONE_NAMESPACES = 0x7e020000;

/**
 * socket(2) families from 12 on that are allowed. Not among them: what Linux has dropped or nobody uses (DECnet, Econet, ATMSVC, IrDA,
 * Wanpipe, ISDN, CAIF), AF_ALG (38), whose flaws reach past the container (CVE-2026-31431), and AF_VSOCK (40), which reaches the
 * hypervisor and knows no network namespace.
 */
const FAMILIES = [
  13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45,
];
const AF_DECNET = 12;
const ENOSYS = 38;
const EPERM = 1;

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

function allow(names: string, more: Partial<SeccompProfileRule> = {}): SeccompProfileRule {
  return { names: words(names), action: 'SCMP_ACT_ALLOW', ...more };
}

const argument = (index: number, op: string, value: number, valueTwo = 0): RuntimeSyscallArgument[] => [
  { index, value, valueTwo, op: `SCMP_CMP_${op}` },
];

const MAINFRAME = ['s390', 's390x'];
const ADMIN = { caps: ['CAP_SYS_ADMIN'] };

export const DEFAULT_SECCOMP_PROFILE: SeccompProfile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: EPERM,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
    { architecture: 'SCMP_ARCH_S390X', subArchitectures: ['SCMP_ARCH_S390'] },
    { architecture: 'SCMP_ARCH_RISCV64', subArchitectures: null },
    { architecture: 'SCMP_ARCH_LOONGARCH64', subArchitectures: null },
  ],
  syscalls: [
    allow([FILES, WAITING, TIME, SOCKETS, MEMORY, PROCESSES, SIGNALS, SYSTEM_V_AND_QUEUES].join(' ')),
    // Before 4.8 ptrace could leave the filter (seccomp(2)).
    allow('process_vm_readv process_vm_writev ptrace', { includes: { minKernel: '4.8' } }),
    allow('socket', { args: argument(0, 'LT', AF_DECNET) }),
    ...FAMILIES.map((family) => allow('socket', { args: argument(0, 'EQ', family) })),
    ...PERSONALITIES.map((value) => allow('personality', { args: argument(0, 'EQ', value) })),
    ...WITH_ARCHITECTURE.map(([arches, names]) => allow(names, { includes: { arches } })),
    ...WITH_CAPABILITY.map(([capability, names]) => allow(names, { includes: { caps: [capability] } })),
    allow('clone', {
      args: argument(0, 'MASKED_EQ', CLONE_NAMESPACES),
      excludes: { ...ADMIN, arches: MAINFRAME },
    }),
    // The first two parameters of clone(2) change places there.
    allow('clone', {
      args: argument(1, 'MASKED_EQ', CLONE_NAMESPACES),
      includes: { arches: MAINFRAME },
      excludes: ADMIN,
    }),
    // Its flags lie in memory, where a filter cannot look; ENOSYS makes the C library fall back to clone.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS, excludes: ADMIN },
  ],
};
