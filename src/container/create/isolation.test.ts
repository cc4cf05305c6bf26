import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Runtime } from '#/runtime/runtime.ts';
import { isolatedRuntime, refuseHostKernelOptions, refuseUnmappedShares } from './isolation.ts';

const runtime = (name: string): Runtime => ({
  name,
  program: name,
  create: () => Promise.reject(new Error('not made')),
  load: async () => undefined,
});
const RUNTIMES = new Map<string, Runtime>([
  ['crun', runtime('crun')],
  ['runc', runtime('runc')],
  ['vm', { ...runtime('vm'), guestKernel: () => '6.1.0' }],
]);

test('isolatedRuntime() takes the named runtime, else the one that isolates as asked, else the daemon’s', () => {
  const table: [{ Runtime?: string; Isolation?: string }, usual: string, wanted: string][] = [
    [{}, 'crun', 'crun'],
    [{}, 'vm', 'vm'],
    [{ Runtime: 'runc' }, 'crun', 'runc'],
    [{ Isolation: 'default' }, 'crun', 'crun'],
    [{ Isolation: 'vm' }, 'crun', 'vm'],
    [{ Isolation: 'vm', Runtime: 'vm' }, 'crun', 'vm'],
    [{ Isolation: 'container' }, 'crun', 'crun'],
    [{ Isolation: 'container' }, 'vm', 'crun'],
    [{ Isolation: 'container', Runtime: 'runc' }, 'vm', 'runc'],
  ];
  for (const [host, usual, wanted] of table)
    assert.equal(isolatedRuntime(host, RUNTIMES, usual), wanted, JSON.stringify(host));
});

test('isolatedRuntime() refuses unknown words and contradictions', () => {
  assert.throws(() => isolatedRuntime({ Isolation: 'hyperv' }, RUNTIMES, 'crun'), {
    kind: 'invalid',
    message: /linux only supports 'default'/,
  });
  assert.throws(() => isolatedRuntime({ Runtime: 'kata' }, RUNTIMES, 'crun'), /runtime name: kata/);
  assert.throws(() => isolatedRuntime({ Isolation: 'vm', Runtime: 'crun' }, RUNTIMES, 'crun'), /conflicting/);
  const none = new Map([...RUNTIMES].filter(([name]) => name !== 'vm'));
  assert.throws(() => isolatedRuntime({ Isolation: 'vm' }, none, 'crun'), /no runtime/);
});

test('refuseHostKernelOptions() refuses what needs the host’s kernel, and nothing else', () => {
  refuseHostKernelOptions({ IpcMode: 'private', NetworkMode: 'bridge', Privileged: true });
  refuseHostKernelOptions({ IpcMode: 'shareable', NetworkMode: 'none' });
  for (const host of [
    { PidMode: 'host' },
    { IpcMode: 'host' },
    { UTSMode: 'host' },
    { Devices: [{ PathOnHost: '/dev/fuse' }] },
  ]) {
    assert.throws(() => refuseHostKernelOptions(host), { kind: 'notImplemented', message: /microVM/ });
  }
});

test('refuseUnmappedShares() refuses what the host would see root write to', () => {
  refuseUnmappedShares([
    { type: 'tmpfs', destination: '/t' },
    { type: 'image', destination: '/i' },
  ]);
  for (const type of ['bind', 'volume']) {
    assert.throws(() => refuseUnmappedShares([{ type, destination: '/v' }]), {
      kind: 'notImplemented',
      message: /cannot have \/v of the host/,
    });
  }
});
