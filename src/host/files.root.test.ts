import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { deviceNumbers, makeNode, S_IFBLK, S_IFCHR, S_IFIFO, setModifiedTime } from './files.ts';
import { getXattr, isXattrUnsupported, listXattrs, setXattr } from './xattr.ts';

const root = mkdtempSync(path.join(tmpdir(), 'hull-files-'));
after(() => rmSync(root, { recursive: true }));

const at = (name: string): Buffer => Buffer.from(path.join(root, name));

test('makeNode() makes devices of any number, and fifos', () => {
  for (const [index, [major, minor]] of (
    [
      [1, 3],
      [259, 300_000],
      [4095, 1_048_575],
      [0, 0],
    ] as const
  ).entries()) {
    for (const kind of [S_IFCHR, S_IFBLK]) {
      const file = at(`device${index}-${kind}`);
      makeNode(file, kind, 0o600, { major, minor });
      assert.deepEqual(deviceNumbers(lstatSync(file, { bigint: true }).rdev), { major, minor });
    }
  }
  makeNode(at('fifo'), S_IFIFO, 0o600, { major: 0, minor: 0 });
  assert.ok(lstatSync(at('fifo')).isFIFO());
  assert.throws(() => makeNode(at('fifo'), S_IFIFO, 0o600, { major: 0, minor: 0 }), { code: 'EEXIST' });
});

test('setModifiedTime() sets nanoseconds, before 1970 too, and of a symlink itself', () => {
  writeFileSync(at('file'), '');
  symlinkSync('file', at('link'));
  setModifiedTime(at('file'), 1_700_000_000, 123_456_789);
  setModifiedTime(at('link'), -5, 1);
  assert.equal(lstatSync(at('file'), { bigint: true }).mtimeNs, 1_700_000_000_123_456_789n);
  assert.equal(lstatSync(at('link'), { bigint: true }).mtimeNs, -4_999_999_999n);
});

test('xattrs are set, read and listed, and absent ones are undefined', () => {
  writeFileSync(at('with'), '');
  assert.deepEqual(listXattrs(at('with')), []);
  assert.equal(getXattr(at('with'), 'user.none'), undefined);
  setXattr(at('with'), 'user.empty', Buffer.alloc(0));
  setXattr(at('with'), 'trusted.large', Buffer.alloc(3900, 1));
  assert.deepEqual(listXattrs(at('with')).sort(), ['trusted.large', 'user.empty']);
  assert.deepEqual(getXattr(at('with'), 'user.empty'), Buffer.alloc(0));
  assert.deepEqual(getXattr(at('with'), 'trusted.large'), Buffer.alloc(3900, 1));
  assert.throws(() => listXattrs(at('absent')), { code: 'ENOENT' });
  assert.throws(() => setXattr(at('with'), 'nonsense.a', Buffer.alloc(1)), isXattrUnsupported);
});
