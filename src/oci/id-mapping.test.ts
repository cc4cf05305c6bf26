import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  kernelMap,
  mappedRoot,
  mappingKey,
  mappingOfRanges,
  ownerInside,
  ownerOutside,
} from './id-mapping.ts';

const MAPPING = mappingOfRanges(
  [
    { start: 500_000, length: 1000 },
    { start: 100_000, length: 100 },
  ],
  [{ start: 200_000, length: 65_536 }],
);

test('mappingOfRanges() puts the ranges one after the other, lowest first, as dockerd does', () => {
  assert.deepEqual(MAPPING, {
    uids: [
      { containerID: 0, hostID: 100_000, size: 100 },
      { containerID: 100, hostID: 500_000, size: 1000 },
    ],
    gids: [{ containerID: 0, hostID: 200_000, size: 65_536 }],
  });
  assert.deepEqual(mappedRoot(MAPPING), { uid: 100_000, gid: 200_000 });
});

test('ownerOutside() and ownerInside() undo each other, and know nobody else', () => {
  const table: [inside: number, outside: number][] = [
    [0, 100_000],
    [99, 100_099],
    [100, 500_000],
    [1099, 500_999],
  ];
  for (const [inside, outside] of table) {
    assert.equal(ownerOutside(MAPPING, { uid: inside, gid: 0 }).uid, outside);
    assert.equal(ownerInside(MAPPING, { uid: outside, gid: 0 }).uid, inside);
  }
  assert.deepEqual(ownerOutside(MAPPING, { uid: 1100, gid: 65_536 }), { uid: 65_534, gid: 65_534 });
  assert.deepEqual(ownerInside(MAPPING, { uid: 0, gid: 0 }), { uid: 65_534, gid: 65_534 });
});

test('kernelMap() is what uid_map takes, mappingKey() a file name', () => {
  assert.equal(kernelMap(MAPPING.uids), '0 100000 100\n100 500000 1000\n');
  assert.match(mappingKey(MAPPING), /^100000\.200000-[0-9a-f]{8}$/);
  assert.notEqual(
    mappingKey(MAPPING),
    mappingKey(mappingOfRanges([{ start: 100_000, length: 99 }], [{ start: 200_000, length: 65_536 }])),
  );
});
