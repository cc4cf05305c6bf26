import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listMounts, parseMountinfo } from './mountinfo.ts';

test('parseMountinfo() reads optional fields, escapes and bind roots', () => {
  const text = [
    '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue',
    '37 35 0:41 / /a\\040b\\134c ro - tmpfs none ro,size=4k',
    'nonsense',
    '',
  ].join('\n');
  assert.deepEqual(parseMountinfo(text), [
    {
      target: '/mnt2',
      source: '/dev/root',
      type: 'ext3',
      options: 'rw,noatime,rw,errors=continue',
      root: '/mnt1',
      propagation: 'master:1 shared:2',
    },
    {
      target: '/a b\\c',
      source: 'none',
      type: 'tmpfs',
      options: 'ro,ro,size=4k',
      root: '/',
      propagation: '',
    },
  ]);
});

test('listMounts() finds the proc file system it reads from', () => {
  assert.ok(listMounts().some(({ target, type }) => target === '/proc' && type === 'proc'));
});
