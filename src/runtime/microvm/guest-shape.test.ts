import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSpec } from '#/oci/default-spec.ts';
import { configureBody, type GuestSetup } from './configure-body.ts';
import { guestMemory, sandboxMemory } from './memory-size.ts';
import { PCI_PLACES, PciSlots } from './pci-slots.ts';
import { qemuCommand, type QemuOptions, shareCommands } from './qemu-command.ts';
import { decodeRecords, TAG } from './records.ts';
import { runBody } from './run-body.ts';
import { type SandboxOptions, sandboxSpec } from './sandbox-spec.ts';

const MIB = 2 ** 20;

const SETUP: GuestSetup = {
  rescan: true,
  time: 1n,
  entropy: Buffer.alloc(8),
  layers: ['0000:00:04.0'],
  top: '0000:00:04.1',
  interfaces: [],
  routes: [],
  standIns: [],
  sources: new Map([['/etc-on-host/hosts', '/run/hull/files/hosts']]),
  files: new Map([['hosts', Buffer.from('127.0.0.1 localhost\n')]]),
};

test('PciSlots hands out functions of slots, none twice, and no more than there are', () => {
  const slots = new PciSlots();
  const places = Array.from({ length: PCI_PLACES }, () => slots.next());
  assert.deepEqual(places[0], { address: '0x4.0x0', name: '0000:00:04.0', multifunction: true });
  assert.deepEqual(places[9], { address: '0x5.0x1', name: '0000:00:05.1', multifunction: false });
  assert.equal(new Set(places.map(({ name }) => name)).size, PCI_PLACES);
  assert.ok(PCI_PLACES > 127 + 2);
  assert.throws(() => slots.next(), /224 devices/);
});

test('guestMemory() takes the next power of two above the limit and what the guest itself needs', () => {
  assert.equal(guestMemory(undefined, 1024 * MIB), 1024 * MIB);
  assert.equal(guestMemory(0, 1024 * MIB), 1024 * MIB);
  assert.equal(guestMemory(6 * MIB, 1024 * MIB), 256 * MIB);
  assert.equal(guestMemory(160 * MIB, 1024 * MIB), 256 * MIB);
  assert.equal(guestMemory(161 * MIB, 1024 * MIB), 512 * MIB);
  assert.equal(sandboxMemory(undefined), undefined);
  assert.ok((sandboxMemory(64 * MIB) ?? 0) > 64 * MIB);
});

test('configureBody() says what the specification does, in the guest’s words', () => {
  const spec = defaultSpec({ cgroupVersion: 2 });
  spec.hostname = 'db';
  spec.linux.sysctl = { 'net.core.somaxconn': '9', 'kernel.domainname': 'lan' };
  spec.linux.resources = {
    pids: { limit: 7 },
    memory: { limit: 64 * MIB, reservation: 32 * MIB },
    cpu: { quota: 50_000 },
  };
  spec.root = { path: '', readonly: true };
  spec.mounts = [
    { destination: '/etc/hosts', type: 'bind', source: '/etc-on-host/hosts', options: ['rbind', 'ro'] },
    { destination: '/sbin/docker-init', type: 'bind', source: '/usr/bin/tini-static', options: ['bind'] },
  ];
  const records = [...decodeRecords(configureBody(spec, SETUP))];
  const texts = (tag: number): string[] =>
    records.filter((record) => record.tag === tag).map(({ value }) => value.toString());
  assert.deepEqual(texts(TAG.hostname), ['db']);
  assert.deepEqual(texts(TAG.domainname), ['lan']);
  assert.deepEqual(texts(TAG.sysctl), ['net.core.somaxconn\x009\0']);
  assert.deepEqual(texts(TAG.mount), ['/etc/hosts\0bind\0/run/hull/files/hosts\0rbind,ro\0']);
  assert.deepEqual(texts(TAG.init), ['']);
  assert.deepEqual(texts(TAG.rootReadonly), ['']);
  assert.deepEqual(texts(TAG.cgroup).toSorted(), [
    'cpu.max\x0050000 100000\0',
    'memory.low\x0033554432\0',
    'memory.max\x0067108864\0',
    'memory.swap.max\x000\0',
    'pids.max\x007\0',
  ]);
  assert.deepEqual(texts(TAG.file), ['hosts\x00127.0.0.1 localhost\n']);
  assert.ok(texts(TAG.device).includes('c\0/dev/null\x001\x003\x00666\x000\x000\0'));
});

test('configureBody() refuses what it has no way to show the guest', () => {
  const spec = defaultSpec({ cgroupVersion: 2 });
  spec.mounts = [{ destination: '/x', type: 'bind', source: '/nowhere', options: [] }];
  assert.throws(() => configureBody(spec, SETUP), { kind: 'notImplemented' });
});

test('runBody() encodes capabilities, limits and the filter as the kernel takes them', () => {
  const body = runBody(
    {
      args: ['true'],
      cwd: '/',
      user: { uid: 0, gid: 0, umask: 0o22 },
      terminal: true,
      capabilities: { bounding: ['CAP_CHOWN', 'CAP_KILL'] },
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 5, hard: -1 }],
    },
    {
      user: 'web:www',
      groups: ['adm'],
      stdin: true,
      size: { rows: 24, columns: 80 },
      filter: Buffer.alloc(8, 1),
    },
  );
  const found = new Map([...decodeRecords(body)].map(({ tag, value }) => [tag, value.toString('hex')]));
  assert.equal(found.get(TAG.user), Buffer.from('web:www').toString('hex'));
  assert.equal(found.get(TAG.terminal), '00180050');
  assert.equal(found.get(TAG.capabilities), `0000000000000021${'0'.repeat(64)}`);
  assert.equal(found.get(TAG.rlimit), `000000070000000000000005${'f'.repeat(16)}`);
  assert.equal(found.get(TAG.seccomp), `00000000${'01'.repeat(8)}`);
  assert.equal(found.get(TAG.umask), '00000012');
  assert.throws(
    () =>
      runBody(
        { args: [], cwd: '/', user: { uid: 0, gid: 0 }, rlimits: [{ type: 'RLIMIT_X', soft: 1, hard: 1 }] },
        { user: '', groups: [], stdin: false },
      ),
    /unknown limit/,
  );
});

const QEMU: QemuOptions = {
  machine: { accelerator: 'tcg', cpus: 2, memory: 512 * MIB },
  backing: { kind: 'private' },
  agent: 'socket,fd=3',
  console: 'socket,fd=4',
  monitor: 'socket,fd=5',
  kernel: '/guest/vmlinux',
  initramfs: '/guest/initrd',
  firmware: '/usr/share/qemu',
  tscKhz: 2_000_000,
};

test('qemuCommand() gives disks by descriptor, and lets nothing be opened for writing that is not', () => {
  const place = { address: '0x4.0x0', name: '', multifunction: true };
  const command = qemuCommand({ ...QEMU, disks: [{ place, fd: 7, readonly: true }], incoming: true });
  assert.ok(command.includes('fd=7,set=7'));
  assert.ok(command.includes('virtio-blk-pci,drive=disk7,addr=0x4.0x0,multifunction=on'));
  assert.match(command.join(' '), /"filename":"\/dev\/fdset\/7","locking":"off","read-only":true/);
  assert.match(command.join(' '), /-incoming defer/);
  assert.match(command.join(' '), /tsc_early_khz=2000000/);
  assert.doesNotMatch(
    qemuCommand({ ...QEMU, machine: { ...QEMU.machine, accelerator: 'kvm' } }).join(' '),
    /tsc_early_khz|incoming/,
  );
});

const SANDBOX_OPTIONS: Omit<SandboxOptions, 'files'> = {
  root: '/installed/root',
  args: ['/hull-vm'],
  owner: { uid: 5, gid: 5 },
  capabilities: [],
  accelerator: 'tcg',
  cgroupsPath: '/hull/x',
  resources: {},
  terminal: false,
  architecture: 'x64',
  kernel: '6.1',
};

test('qemuCommand() leaves a share out of a guest that comes in, and shareCommands() brings it', () => {
  const share = { place: new PciSlots().next(), socket: '/run/vm/shares', tag: 'hull' };
  assert.match(
    qemuCommand({ ...QEMU, share }).join(' '),
    /-device vhost-user-fs-pci,chardev=shares,tag=hull/,
  );
  const incoming = qemuCommand({ ...QEMU, share, incoming: true }).join(' ');
  assert.match(incoming, / -S -device pcie-root-port,id=shares-port,/);
  assert.doesNotMatch(incoming, /vhost-user-fs/);
  const [add, go] = shareCommands('hull').trimEnd().split('\n');
  assert.match(add ?? '', /"driver":"vhost-user-fs-pci".*"bus":"shares-port"/);
  assert.equal(go, '{"execute":"cont"}');
});

test('sandboxSpec() shows what is mounted below a share, and lets virtiofsd have its files open', () => {
  const spec = sandboxSpec({
    ...SANDBOX_OPTIONS,
    files: [{ to: '/run/shares/0', from: '/data', recursive: true }],
    openFiles: 5000,
  });
  const share = spec.mounts.find(({ destination }) => destination === '/run/shares/0');
  assert.deepEqual(share?.options, ['rbind', 'rslave', 'nosuid', 'nodev', 'noexec', 'ro']);
  assert.equal(spec.linux.rootfsPropagation, 'rslave');
  assert.deepEqual(spec.process.rlimits?.[0], { type: 'RLIMIT_NOFILE', soft: 5000, hard: 5000 });
});

test('sandboxSpec() gives QEMU nothing of the host but its files', () => {
  const spec = sandboxSpec({ ...SANDBOX_OPTIONS, files: [{ to: '/run/layer0', from: '/store/a.erofs' }] });
  assert.deepEqual(spec.root, { path: '/installed/root', readonly: true });
  assert.deepEqual(spec.process.capabilities?.bounding, []);
  assert.equal(spec.process.noNewPrivileges, true);
  assert.deepEqual(spec.linux.devices, []);
  assert.ok(spec.linux.namespaces.some(({ type, path }) => type === 'network' && path === undefined));
  const binds = spec.mounts.filter(({ type }) => type === 'bind');
  assert.deepEqual(
    binds.map(({ source }) => source),
    ['/store/a.erofs'],
  );
  assert.ok(binds.every(({ options }) => options?.includes('ro')));
});
