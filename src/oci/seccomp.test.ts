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
  assert.equal(of('socket')[0]?.args?.[0]?.value, 40);
  assert.equal(of('personality').length, 5);
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
