import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeTmpfsOptions } from './tmpfs-options.ts';

test('mergeTmpfsOptions() adds Docker’s defaults and lets the last word about a thing count', () => {
  for (const [data, expected] of [
    ['', ['noexec', 'nosuid', 'nodev', 'rprivate']],
    ['defaults', ['noexec', 'nosuid', 'nodev', 'rprivate']],
    ['exec,size=64k', ['nosuid', 'nodev', 'rprivate', 'exec', 'size=64k']],
    ['size=1,mode=1770,size=2', ['noexec', 'nosuid', 'nodev', 'rprivate', 'mode=1770', 'size=2']],
    ['ro,rw,rslave', ['noexec', 'nosuid', 'nodev', 'rw', 'rslave']],
    [
      'uid=1000,gid=1000,nr_inodes=5',
      ['noexec', 'nosuid', 'nodev', 'rprivate', 'uid=1000', 'gid=1000', 'nr_inodes=5'],
    ],
  ] as const) {
    assert.deepEqual(mergeTmpfsOptions(data), expected, data);
  }
});

test('mergeTmpfsOptions() refuses what Docker refuses', () => {
  for (const [data, words] of [
    ['foo', 'invalid tmpfs option ["foo"]'],
    ['foo=b=c', 'invalid tmpfs option ["foo" "b=c"]'],
    ['size', 'invalid tmpfs option ["size"]'],
    ['exec,,ro', 'invalid tmpfs option [""]'],
    ['huge=always', 'invalid tmpfs option ["huge" "always"]'],
  ] as const) {
    assert.throws(() => mergeTmpfsOptions(data), { message: words }, data);
  }
});
