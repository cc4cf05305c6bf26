import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestProcess } from '#/runtime/runtime.ts';
import { guestProcessTable } from './guest-process-table.ts';

const SHELL: GuestProcess = {
  pid: 90,
  ppid: 1,
  uid: 0,
  started: 40,
  used: 3661.5,
  uptime: 100_040,
  virtual: 4096 * 1024,
  resident: 1024 * 1024,
  terminal: (136 << 8) + 2,
  state: 'S',
  name: 'sh',
  command: 'sh -c sleep 9',
};
const KERNEL: GuestProcess = {
  ...SHELL,
  pid: 91,
  uid: 33,
  terminal: 0,
  used: 0,
  name: 'kthread',
  command: '',
};
const NOW = new Date('2026-03-05T12:00:00Z');

test('guestProcessTable() shows what ps -ef does', () => {
  const { Titles, Processes } = guestProcessTable([SHELL, KERNEL], '-ef', NOW);
  assert.deepEqual(Titles, ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
  assert.deepEqual(Processes[0], ['root', '90', '1', '3', 'Mar04', 'pts/2', '01:01:01', 'sh -c sleep 9']);
  assert.deepEqual(Processes[1]?.slice(5), ['?', '00:00:00', '[kthread]']);
  assert.equal(Processes[1]?.[0], '33');
});

test('guestProcessTable() shows columns of one’s own, renamed or not', () => {
  assert.deepEqual(guestProcessTable([SHELL], '-o pid,comm,etime,rss=MEM', NOW), {
    Titles: ['PID', 'COMMAND', 'ELAPSED', 'MEM'],
    Processes: [['90', 'sh', '1-03:46:40', '1024']],
  });
  assert.deepEqual(guestProcessTable([SHELL], '-eo pid,cmd', NOW).Titles, ['PID', 'COMMAND']);
  assert.deepEqual(guestProcessTable([SHELL], 'aux', NOW).Titles.slice(0, 3), ['USER', 'PID', '%CPU']);
});

test('guestProcessTable() refuses what it has no answer for', () => {
  assert.throws(() => guestProcessTable([], '-o nosuch'), /unknown user-defined format specifier/);
  assert.throws(() => guestProcessTable([], '-o comm'), /Couldn't find PID field/);
  assert.throws(() => guestProcessTable([], '--forest'), { kind: 'internal' });
});
