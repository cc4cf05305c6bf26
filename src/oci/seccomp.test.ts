import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_CAPABILITIES } from './capabilities.ts';
import { defaultSeccomp, parseSeccompProfile, translateSeccomp } from './seccomp.ts';

const target = { capabilities: DEFAULT_CAPABILITIES, architecture: 'x64', kernel: '6.1.0-18-amd64' };
const allowed = (capabilities: readonly string[], architecture = 'x64'): Set<string> =>
  new Set(
    (defaultSeccomp({ ...target, capabilities, architecture }).syscalls ?? [])
      .filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args === undefined)
      .flatMap((rule) => rule.names),
  );

test('defaultSeccomp() refuses what needs a capability the container lacks', () => {
  const names = allowed(DEFAULT_CAPABILITIES);
  for (const name of ['openat', 'chroot', 'ptrace', 'arch_prctl', 'statx']) assert.ok(names.has(name), name);
  for (const name of ['mount', 'unshare', 'bpf', 'io_uring_setup', 'keyctl', 'clone', 'socket', 'reboot']) {
    assert.ok(!names.has(name), name);
  }
  const admin = allowed([...DEFAULT_CAPABILITIES, 'CAP_SYS_ADMIN']);
  for (const name of ['mount', 'unshare', 'bpf', 'clone', 'clone3']) assert.ok(admin.has(name), name);
});

test('defaultSeccomp() names each call once and only such that exist as words', () => {
  const rule = defaultSeccomp(target).syscalls?.[0];
  assert.ok(rule);
  assert.equal(new Set(rule.names).size, rule.names.length);
  for (const name of rule.names) assert.match(name, /^[a-z0-9_]+$/);
});

test('defaultSeccomp() conditions clone, clone3, socket and personality', () => {
  const rules = defaultSeccomp(target).syscalls ?? [];
  const of = (name: string) => rules.filter((rule) => rule.names.includes(name));
  assert.deepEqual(of('clone')[0]?.args, [
    { index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
  ]);
  assert.equal(of('clone3')[0]?.errnoRet, 38);
  assert.equal(of('personality').length, 5);
});

test('defaultSeccomp() lets no socket of the kernel crypto, of hypervisors or of dead protocols be made', () => {
  const rules = (defaultSeccomp(target).syscalls ?? []).filter(({ names }) => names.includes('socket'));
  const passes = (family: number): boolean =>
    rules.some(({ args }) => {
      const { op, value } = args?.[0] ?? {};
      return op === 'SCMP_CMP_EQ' ? value === family : op === 'SCMP_CMP_LT' && family < (value ?? 0);
    });
  const refused = Array.from({ length: 50 }, (_, family) => family).filter((family) => !passes(family));
  assert.deepEqual(refused, [12, 19, 20, 23, 25, 34, 37, 38, 40, 46, 47, 48, 49]);
});

// Docker's "Significant syscalls blocked by the default profile", and what the kernel has got since.
const REFUSED =
  `acct add_key bpf clock_settime clock_settime64 create_module delete_module fanotify_init finit_module fsconfig fsmount
  fsopen fspick get_kernel_syms get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
  kexec_file_load kexec_load keyctl lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mbind migrate_pages mount
  mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root
  process_madvise query_module quotactl quotactl_fd reboot request_key set_mempolicy set_mempolicy_home_node setdomainname
  sethostname setns settimeofday stime swapoff swapon sysfs syslog _sysctl umount umount2 unshare uselib userfaultfd ustat vhangup
  vm86 vm86old vserver`.split(/\s+/);
const WITH_CAPABILITY: Record<string, string> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns
    syslog umount umount2 unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module finit_module init_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_SYS_TIME: 'clock_settime clock_settime64 settimeofday stime',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

test('defaultSeccomp() refuses what Docker refuses, and a capability gives what goes with it and no more', () => {
  const old = { ...target, kernel: '4.4.0' };
  const plainly = (capabilities: string[]): Set<string> =>
    new Set(
      (defaultSeccomp({ ...old, capabilities }).syscalls ?? [])
        .filter(({ action, args }) => action === 'SCMP_ACT_ALLOW' && args === undefined)
        .flatMap(({ names }) => names),
    );
  const none = plainly([]);
  assert.deepEqual(
    REFUSED.filter((name) => none.has(name)),
    [],
  );
  for (const [capability, names] of Object.entries(WITH_CAPABILITY)) {
    const more = [...plainly([capability])].filter((name) => !none.has(name)).toSorted();
    assert.deepEqual(more, names.split(/\s+/), capability);
  }
  // Without conditions: 360 on every architecture (moby/profiles lists riscv_hwprobe there as well).
  assert.equal(defaultSeccomp(old).syscalls?.[0]?.names.length, 360);
});

test('defaultSeccomp() lets ptrace pass where it cannot leave the filter', () => {
  assert.ok(allowed([]).has('ptrace'));
  const before = defaultSeccomp({ ...target, capabilities: [], kernel: '4.7.9' }).syscalls ?? [];
  assert.ok(!before.some(({ names }) => names.includes('ptrace')));
});

test('defaultSeccomp() knows the architecture', () => {
  assert.ok(!allowed([], 'arm64').has('arch_prctl'));
  assert.ok(allowed([], 'arm64').has('cacheflush'));
  assert.deepEqual(defaultSeccomp({ ...target, architecture: 'arm64' }).architectures, [
    'SCMP_ARCH_AARCH64',
    'SCMP_ARCH_ARM',
  ]);
});

test("translateSeccomp() decides a custom profile's conditions", () => {
  const profile = parseSeccompProfile(
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        { name: 'mkdir', action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
        { names: ['chmod'], action: 'SCMP_ACT_ERRNO', includes: { minKernel: '99.0' } },
        { names: ['chown'], action: 'SCMP_ACT_ERRNO', excludes: { minKernel: '4.8' } },
        { names: ['sync'], action: 'SCMP_ACT_ERRNO', excludes: { caps: ['CAP_CHOWN'] } },
        { names: ['uname'], action: 'SCMP_ACT_ERRNO', includes: { arches: ['amd64'], minKernel: '6.1' } },
      ],
    }),
  );
  assert.deepEqual(translateSeccomp(profile, target), {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [
      { names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
      { names: ['uname'], action: 'SCMP_ACT_ERRNO' },
    ],
  });
});

test("parseSeccompProfile() and translateSeccomp() refuse in Docker's words", () => {
  assert.throws(() => parseSeccompProfile('{'), /^EngineError: Decoding seccomp profile failed: /);
  assert.throws(() => parseSeccompProfile('null'), /Decoding seccomp profile failed/);
  const both = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] };
  assert.throws(
    () =>
      translateSeccomp(
        { ...both, architectures: ['a'], archMap: [{ architecture: 'b', subArchitectures: [] }] },
        target,
      ),
    /use either 'architectures' or 'archMap'/,
  );
  assert.throws(
    () => translateSeccomp({ ...both, syscalls: [{ name: 'a', names: ['b'], action: 'X' }] }, target),
    /use either 'name' or 'names'/,
  );
});
