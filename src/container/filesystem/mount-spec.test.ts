import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mount } from '#/wire/generated.ts';
import { parseMount } from './mount-spec.ts';

test('parseMount() reads every type', () => {
  const table: [Mount, object][] = [
    [
      { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 4096, Mode: 0o700, Options: [['exec']] } },
      { type: 'tmpfs', destination: '/t', tmpfs: 'mode=700,size=4096,exec' },
    ],
    [
      { Type: 'tmpfs', Target: '/t', ReadOnly: true },
      { tmpfs: 'ro', readWrite: false },
    ],
    [
      {
        Type: 'bind',
        Source: '/a/',
        Target: '/t/../u',
        ReadOnly: true,
        BindOptions: { Propagation: 'slave', NonRecursive: true, CreateMountpoint: true },
      },
      {
        source: '/a',
        destination: '/u',
        readWrite: false,
        propagation: 'slave',
        propagationChosen: true,
        nonRecursive: true,
        createSource: true,
      },
    ],
    [
      { Type: 'bind', Source: '/a', Target: '/t' },
      { propagation: 'rprivate', propagationChosen: false, createSource: false },
    ],
    [
      { Type: 'volume', Source: 'v', Target: '/t', VolumeOptions: { NoCopy: true, Subpath: 'a/../b' } },
      { name: 'v', anonymous: false, mode: 'z', driver: 'local', noCopy: true, subpath: 'a/../b' },
    ],
    [
      { Type: 'image', Source: 'busybox', Target: '/t', ImageOptions: { Subpath: 'bin' } },
      { name: 'busybox', readWrite: false, propagation: 'rprivate', subpath: 'bin' },
    ],
  ];
  for (const [mount, expected] of table) assert.partialDeepStrictEqual(parseMount(mount), expected);
});

test('parseMount() refuses in Docker’s words', () => {
  const bind = { Type: 'bind', Source: '/a', Target: '/x' };
  const volume = { Type: 'volume', Source: 'v', Target: '/x' };
  const table: [Mount, string][] = [
    [{}, 'type "": field Target must not be empty'],
    [{ Target: '/x' }, 'type "": mount type unknown'],
    [{ ...bind, Type: 'npipe' }, 'type "npipe": mount type unknown'],
    [{ ...bind, Type: 'cluster' }, 'type "cluster": mount type unknown'],
    [{ ...bind, Type: 'constructor' }, 'type "constructor": mount type unknown'],
    [{ ...bind, Target: '/a/..' }, "type \"bind\": invalid specification: destination can't be '/'"],
    [{ ...bind, Target: 'x' }, 'type "bind": invalid mount path: \'x\' mount path must be absolute'],
    [{ ...bind, Source: '' }, 'type "bind": field Source must not be empty'],
    [{ ...bind, Source: 'a' }, 'type "bind": invalid mount path: \'a\' mount path must be absolute'],
    [{ ...bind, BindOptions: { Propagation: 'up' } }, 'type "bind": invalid propagation mode: up'],
    [{ ...bind, VolumeOptions: {} }, 'type "bind": field VolumeOptions must not be specified'],
    [{ ...bind, TmpfsOptions: {} }, 'type "bind": field TmpfsOptions must not be specified'],
    [{ ...volume, BindOptions: {} }, 'type "volume": field BindOptions must not be specified'],
    [{ ...volume, ImageOptions: {} }, 'type "volume": field ImageOptions must not be specified'],
    [
      { Type: 'volume', Target: '/x', VolumeOptions: { Subpath: 'a' } },
      'type "volume": must not set Subpath when using anonymous volumes',
    ],
    ...['/a', '..', '../a', 'a/../../b'].map((Subpath): [Mount, string] => [
      { ...volume, VolumeOptions: { Subpath } },
      'type "volume": subpath must be a relative path within the volume',
    ]),
    [{ ...volume, Type: 'tmpfs' }, 'type "tmpfs": field Source must not be specified'],
    [
      { Type: 'tmpfs', Target: '/x', TmpfsOptions: { Options: [['size', '1']] } },
      'type "tmpfs": invalid option: size',
    ],
    [
      { Type: 'tmpfs', Target: '/x', TmpfsOptions: { Options: [[]] } },
      'type "tmpfs": invalid option array length',
    ],
    [{ Type: 'image', Target: '/x' }, 'type "image": field Source must not be empty'],
    [
      { Type: 'image', Source: 'i', Target: '/x', ImageOptions: { Subpath: '../x' } },
      'type "image": subpath must be a relative path within the volume',
    ],
  ];
  for (const [mount, words] of table) {
    assert.throws(
      () => parseMount(mount),
      { message: `invalid mount config for ${words}`, kind: 'invalid' },
      JSON.stringify(mount),
    );
  }
});
