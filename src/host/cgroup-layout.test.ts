import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readCgroupLayout } from './cgroup-layout.ts';
import { parseIoStat } from './cgroup-stats.ts';
import { Cgroup } from './cgroups.ts';

test('readCgroupLayout() tells v1 with its hierarchies, hybrid or not', () => {
  const layout = readCgroupLayout(
    [
      '30 25 0:26 / /sys/fs/cgroup/systemd rw,nosuid shared:10 - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd',
      '31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
      '32 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct',
      '33 25 0:28 / /nowhere/unified rw - cgroup2 cgroup2 rw',
    ].join('\n'),
  );
  assert.deepEqual(layout, {
    version: 1,
    v1: [
      { mount: '/sys/fs/cgroup/systemd', controllers: ['name=systemd'] },
      { mount: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu', 'cpuacct'] },
    ],
    unified: undefined,
    unifiedOptions: [],
    unifiedControllers: [],
  });
  assert.equal(new Cgroup(layout, '/hull/x').directory('cpuacct'), '/sys/fs/cgroup/cpu,cpuacct/hull/x');
  assert.equal(new Cgroup(layout, '/hull/x').directory('memory'), undefined);
});

test('readCgroupLayout() tells v2', () => {
  const layout = readCgroupLayout(
    '29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate',
  );
  assert.deepEqual([layout.version, layout.unified], [2, '/sys/fs/cgroup']);
  assert.deepEqual(layout.unifiedOptions, ['rw', 'nosuid', 'nsdelegate']);
  assert.equal(new Cgroup(layout, '/hull/x').directory('memory'), '/sys/fs/cgroup/hull/x');
});

test('Cgroup refuses paths that would reach beyond', () => {
  const layout = readCgroupLayout('');
  for (const path of ['/', 'hull/x', '/hull/../x']) assert.throws(() => new Cgroup(layout, path));
});

test('parseIoStat() reads io.stat', () => {
  assert.deepEqual(parseIoStat('8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n').slice(0, 2), [
    { major: 8, minor: 16, op: 'read', bytes: 1, operations: 3 },
    { major: 8, minor: 16, op: 'write', bytes: 2, operations: 4 },
  ]);
});
