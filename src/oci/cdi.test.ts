import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyCdiEdits, type CdiEdits, type CdiSpec, cdiEdits, checkCdiSpec, isCdiDevice } from './cdi.ts';
import { defaultSpec } from './default-spec.ts';
import type { RuntimeSpec } from './runtime-spec.ts';

const GPU: CdiSpec = {
  cdiVersion: '0.6.0',
  kind: 'vendor.com/gpu',
  containerEdits: { env: ['VENDOR=1'] },
  devices: [{ name: '0', containerEdits: { env: ['GPU=0'] } }, { name: 'all' }],
};

test('isCdiDevice() tells a device of a vendor from a path', () => {
  for (const name of ['vendor.com/gpu=0', 'v/c=a:b.c-d_e', 'nvidia.com/gpu=all'])
    assert.ok(isCdiDevice(name));
  for (const name of ['/dev/null', 'vendor.com/gpu', '=x', '/gpu=0', 'vendor.com/gpu=', '1v/c=d', 'v/c=-d'])
    assert.ok(!isCdiDevice(name), name);
});

test('checkCdiSpec() refuses what no container can be given', () => {
  const refused = (spec: unknown, message: RegExp): void =>
    assert.throws(() => checkCdiSpec(spec), { kind: 'invalid', message });
  refused(null, /not an object/);
  refused({ ...GPU, cdiVersion: undefined }, /missing cdiVersion/);
  refused({ ...GPU, kind: 'gpu' }, /invalid kind "gpu"/);
  refused({ ...GPU, devices: [] }, /no devices/);
  refused({ ...GPU, devices: [{ name: '' }] }, /invalid device name ""/);
  refused({ ...GPU, containerEdits: { env: ['=x'] } }, /invalid environment variable "=x"/);
  refused({ ...GPU, containerEdits: { hooks: [{ hookName: 'x', path: '/y' }] } }, /invalid hook name "x"/);
  refused({ ...GPU, containerEdits: { netDevices: [] } }, /netDevices are not supported/);
  assert.equal(checkCdiSpec(GPU), GPU);
});

test("cdiEdits() gives a file's own edits once, before those of its devices", () => {
  const edits = cdiEdits([GPU], ['vendor.com/gpu=0', 'vendor.com/gpu=all']);
  assert.deepEqual(edits, [{ env: ['VENDOR=1'] }, { env: ['GPU=0'] }, {}]);
});

test('cdiEdits() takes the file of the highest precedence, and names what is in none', () => {
  const local: CdiSpec = {
    ...GPU,
    containerEdits: {},
    devices: [{ name: '0', containerEdits: { env: ['L=1'] } }],
  };
  assert.deepEqual(cdiEdits([GPU, local], ['vendor.com/gpu=0']), [{}, { env: ['L=1'] }]);
  assert.throws(() => cdiEdits([GPU], ['vendor.com/gpu=7', 'vendor.com/gpu=0', 'x.y/z=1']), {
    message: 'unresolvable CDI devices vendor.com/gpu=7, x.y/z=1',
  });
});

function edited(edits: CdiEdits): RuntimeSpec {
  const spec = defaultSpec({ cgroupVersion: 1 });
  spec.process.env = ['PATH=/bin', 'GPU=none'];
  spec.process.user = { uid: 1000, gid: 1000, additionalGids: [1000] };
  applyCdiEdits(spec, edits, () => ({ type: 'c', major: 195, minor: 7, fileMode: 0o666 }));
  return spec;
}

test('applyCdiEdits() makes nodes with what the host says of them, and lets the container use them', () => {
  const { linux } = edited({
    deviceNodes: [{ path: '/dev/gpu0', hostPath: '/dev/real', permissions: 'rw' }],
  });
  assert.deepEqual(linux.devices, [
    { path: '/dev/gpu0', type: 'c', major: 195, minor: 7, fileMode: 0o666, uid: 1000, gid: 1000 },
  ]);
  const rule = { allow: true, type: 'c', major: 195, minor: 7, access: 'rw' };
  assert.deepEqual(linux.resources?.devices?.at(-1), rule);
});

test('applyCdiEdits() believes a file that says all of a node', () => {
  const { linux } = edited({
    deviceNodes: [{ path: '/dev/b', type: 'b', major: 8, minor: 1, uid: 0, gid: 6 }],
  });
  assert.deepEqual(linux.devices, [{ path: '/dev/b', type: 'b', major: 8, minor: 1, uid: 0, gid: 6 }]);
});

test('applyCdiEdits() replaces variables and mounts, and adds hooks and groups', () => {
  const spec = edited({
    env: ['GPU=0', 'NEW=1'],
    mounts: [{ hostPath: '/host/shm', containerPath: '/dev/shm', options: ['rbind'] }],
    hooks: [{ hookName: 'createContainer', path: '/bin/hook', args: ['hook', 'x'] }],
    additionalGids: [0, 44, 1000],
  });
  assert.deepEqual(spec.process.env, ['PATH=/bin', 'GPU=0', 'NEW=1']);
  assert.deepEqual(
    spec.mounts.filter(({ destination }) => destination === '/dev/shm'),
    [{ destination: '/dev/shm', source: '/host/shm', type: 'bind', options: ['rbind'] }],
  );
  assert.deepEqual(spec.hooks, { createContainer: [{ path: '/bin/hook', args: ['hook', 'x'] }] });
  assert.deepEqual(spec.process.user.additionalGids, [1000, 44]);
});
