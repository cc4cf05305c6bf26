import { closeSync, fstatSync, readSync } from 'node:fs';
import koffi from 'koffi';
import { internal, invalid } from '#/base/errors.ts';
import { checked, libcFunction, systemError } from './libc.ts';

type Filter = object;

/** The runtime specification's `linux.seccomp`, as far as a filter is made of it. */
export interface SeccompRules {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  syscalls?: { names: string[]; action: string; errnoRet?: number; args?: SeccompArgument[] }[];
}

interface SeccompArgument {
  index: number;
  value: number;
  valueTwo?: number;
  /** `SCMP_CMP_EQ`, … */
  op: string;
}

/* include/seccomp.h */
const ACTIONS: Record<string, number> = {
  SCMP_ACT_KILL: 0x0000_0000,
  SCMP_ACT_KILL_THREAD: 0x0000_0000,
  SCMP_ACT_KILL_PROCESS: 0x8000_0000,
  SCMP_ACT_TRAP: 0x0003_0000,
  SCMP_ACT_LOG: 0x7ffc_0000,
  SCMP_ACT_ALLOW: 0x7fff_0000,
};
const ERRNO_ACTION = 0x0005_0000;
const TRACE_ACTION = 0x7ff0_0000;
const COMPARISONS = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((name) => `SCMP_CMP_${name}`);
const COMPARISON_SIZE = 24;
const NATIVE = 0;
const UNKNOWN_SYSCALL = -1;
const EPERM = 1;
const EEXIST = 17;
const MFD_CLOEXEC = 1;

const memfdCreate = libcFunction('memfd_create', 'int', ['str', 'uint']);

interface Libseccomp {
  init(action: number): Filter | null;
  release(filter: Filter): void;
  addArchitecture(filter: Filter, architecture: number): number;
  resolveArchitecture(name: string): number;
  resolveSyscall(name: string): number;
  addRule(filter: Filter, action: number, syscall: number, count: number, comparisons: Buffer): number;
  exportBpf(filter: Filter, fd: number): number;
}

let library: Libseccomp | undefined;

/**
 * Compiles a profile to the program that seccomp(2) takes: an array of `struct sock_filter`. It is the OCI runtimes' own library that does
 * it, so a guest's process gets the filter that a container's would. Takes some 20 ms. System calls and architectures that the
 * library does not know are left out, as the runtimes do.
 */
export function compileSeccomp(profile: SeccompRules): Buffer {
  library ??= openLibrary();
  const seccomp = library;
  const filter = seccomp.init(actionOf(profile.defaultAction, profile.defaultErrnoRet));
  if (filter === null) throw invalid(`seccomp: the default action "${profile.defaultAction}" is not one`);
  try {
    for (const name of profile.architectures ?? []) {
      const architecture = seccomp.resolveArchitecture(name.replace('SCMP_ARCH_', '').toLowerCase());
      if (architecture === NATIVE) continue;
      const result = seccomp.addArchitecture(filter, architecture);
      if (result !== 0 && result !== -EEXIST) throw failed(`add architecture ${name}`, result);
    }
    for (const { names, action, errnoRet, args = [] } of profile.syscalls ?? []) {
      const wanted = actionOf(action, errnoRet);
      if (wanted === actionOf(profile.defaultAction, profile.defaultErrnoRet)) continue;
      for (const name of names) {
        const number = seccomp.resolveSyscall(name);
        if (number === UNKNOWN_SYSCALL) continue;
        for (const group of rulesOf(args)) {
          const result = seccomp.addRule(filter, wanted, number, group.length, encodeComparisons(group));
          if (result !== 0 && result !== -EEXIST) throw failed(`add a rule for ${name}`, result);
        }
      }
    }
    const fd = checked(memfdCreate('seccomp', MFD_CLOEXEC), 'memfd_create');
    try {
      const result = seccomp.exportBpf(filter, fd);
      if (result !== 0) throw failed('compile the profile', result);
      const program = Buffer.alloc(fstatSync(fd).size);
      readSync(fd, program, 0, program.length, 0);
      return program;
    } finally {
      closeSync(fd);
    }
  } finally {
    seccomp.release(filter);
  }
}

/** The library joins comparisons by "and", and takes each argument once: those of one argument are alternatives, as the runtimes have it. */
function rulesOf(args: readonly SeccompArgument[]): SeccompArgument[][] {
  const indexes = args.map(({ index }) => index);
  if (new Set(indexes).size === indexes.length) return [[...args]];
  return args.map((argument) => [argument]);
}

/** `struct scmp_arg_cmp`: argument, comparison, two values. */
function encodeComparisons(args: readonly SeccompArgument[]): Buffer {
  const bytes = Buffer.alloc(Math.max(1, args.length) * COMPARISON_SIZE);
  for (const [order, { index, op, value, valueTwo = 0 }] of args.entries()) {
    const comparison = COMPARISONS.indexOf(op) + 1;
    if (comparison === 0) throw invalid(`seccomp: "${op}" is no comparison`);
    const at = order * COMPARISON_SIZE;
    bytes.writeUInt32LE(index, at);
    bytes.writeUInt32LE(comparison, at + 4);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at + 8);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(valueTwo)), at + 16);
  }
  return bytes;
}

function actionOf(name: string, errno = EPERM): number {
  if (name === 'SCMP_ACT_ERRNO') return ERRNO_ACTION | errno;
  if (name === 'SCMP_ACT_TRACE') return TRACE_ACTION | errno;
  const action = ACTIONS[name];
  if (action === undefined) throw invalid(`seccomp: "${name}" is no action that is possible here`);
  return action;
}

function failed(what: string, result: number): Error {
  return internal(`seccomp: cannot ${what}`, { cause: systemError(-result, 'libseccomp') });
}

function openLibrary(): Libseccomp {
  const shared = koffi.load('libseccomp.so.2');
  return {
    init: shared.func('seccomp_init', 'void *', ['uint32_t']),
    release: shared.func('seccomp_release', 'void', ['void *']),
    addArchitecture: shared.func('seccomp_arch_add', 'int', ['void *', 'uint32_t']),
    resolveArchitecture: shared.func('seccomp_arch_resolve_name', 'uint32_t', ['str']),
    resolveSyscall: shared.func('seccomp_syscall_resolve_name', 'int', ['str']),
    addRule: shared.func('seccomp_rule_add_array', 'int', ['void *', 'uint32_t', 'int', 'uint', 'void *']),
    exportBpf: shared.func('seccomp_export_bpf', 'int', ['void *', 'int']),
  };
}
