import assert from 'node:assert/strict';
import os from 'node:os';
import { test } from 'node:test';
import { defaultSeccomp } from '#/oci/seccomp.ts';
import { compileSeccomp, type SeccompRules } from '#/host/seccomp-bpf.ts';

/** `struct sock_filter`: code u16, jt u8, jf u8, k u32. */
const INSTRUCTION = 8;
/** seccomp(2) takes no more (BPF_MAXINSNS). */
const MOST = 4096;
const RETURN = 0x06;
const ALLOW = 0x7fff_0000;
const ERRNO = 0x0005_0000;

/** Runs a filter as the kernel does on the classic instructions that libseccomp makes, on `struct seccomp_data`. */
function verdict(program: Buffer, number: number, args: readonly number[] = []): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(0xc000_003e, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt(value), 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const code = program.readUInt16LE(at * INSTRUCTION);
    const constant = program.readUInt32LE(at * INSTRUCTION + 4);
    const jump = (taken: boolean): void => {
      at += program.readUInt8(at * INSTRUCTION + (taken ? 2 : 3));
    };
    if (code === RETURN) return constant;
    if (code === 0x20) accumulator = data.readUInt32LE(constant);
    else if (code === 0x54) accumulator = (accumulator & constant) >>> 0;
    else if (code === 0x05) at += constant;
    else if (code === 0x15) jump(accumulator === constant);
    else if (code === 0x25) jump(accumulator > constant);
    else if (code === 0x35) jump(accumulator >= constant);
    else throw new Error(`instruction ${code.toString(16)}`);
  }
}

// As x86-64 numbers them: arch/x86/entry/syscalls/syscall_64.tbl.
const READ = 0;
const CLONE = 56;
const MKDIR = 83;
const UNSHARE = 272;

test(
  'compileSeccomp() makes Docker’s default profile a program that the kernel takes and that decides as it says',
  { skip: process.arch !== 'x64' },
  () => {
    const target = { architecture: process.arch, kernel: os.release() };
    const program = compileSeccomp(defaultSeccomp({ ...target, capabilities: [] }));
    assert.equal(program.length % INSTRUCTION, 0);
    assert.ok(program.length / INSTRUCTION <= MOST, `${program.length / INSTRUCTION} instructions`);
    assert.equal(verdict(program, READ), ALLOW);
    assert.equal(verdict(program, UNSHARE), ERRNO | 1);
    assert.equal(verdict(program, CLONE, [0x11]), ALLOW);
    // CLONE_NEWUSER
    assert.equal(verdict(program, CLONE, [0x1000_0000]), ERRNO | 1);
    const administrator = compileSeccomp(defaultSeccomp({ ...target, capabilities: ['CAP_SYS_ADMIN'] }));
    assert.equal(verdict(administrator, UNSHARE), ALLOW);
  },
);

test(
  'compileSeccomp() joins comparisons, leaves out unknown calls, refuses what is none',
  { skip: process.arch !== 'x64' },
  () => {
    const rules = (args: NonNullable<SeccompRules['syscalls']>[number]['args']): SeccompRules => ({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['mkdir', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 13, args: args ?? [] },
      ],
    });
    const equal = (index: number, value: number): { index: number; value: number; op: string } => ({
      index,
      value,
      op: 'SCMP_CMP_EQ',
    });
    const both = compileSeccomp(rules([equal(0, 5), equal(1, 7)]));
    assert.equal(verdict(both, MKDIR, [5, 7]), ERRNO | 13);
    assert.equal(verdict(both, MKDIR, [5, 8]), ALLOW);
    const either = compileSeccomp(rules([equal(0, 5), equal(0, 6)]));
    for (const value of [5, 6]) assert.equal(verdict(either, MKDIR, [value]), ERRNO | 13);
    assert.equal(verdict(either, MKDIR, [7]), ALLOW);
    assert.throws(() => compileSeccomp(rules([{ index: 0, value: 1, op: 'SCMP_CMP_MAYBE' }])), {
      kind: 'invalid',
    });
    assert.throws(() => compileSeccomp({ defaultAction: 'SCMP_ACT_PERHAPS' }), { kind: 'invalid' });
  },
);
