import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkPsArguments, parseProcessTable } from './process-table.ts';

test('parseProcessTable() keeps the rows of the processes asked for, the command whole', () => {
  const output = [
    'UID          PID    PPID CMD',
    'root           1       0 /sbin/init splash',
    'alice         70       1 sh -c while :; do sleep 1; done',
    '',
  ].join('\n');
  assert.deepEqual(parseProcessTable(output, [70, 71]), {
    Titles: ['UID', 'PID', 'PPID', 'CMD'],
    Processes: [['alice', '70', '1', 'sh -c while :; do sleep 1; done']],
  });
});

test('parseProcessTable() keeps the threads under their process', () => {
  const output = ['PID LWP CMD', '7 - other', '- 8 other', '70 - mine', '- 71 mine', '9 - other'].join('\n');
  assert.deepEqual(parseProcessTable(output, [70]).Processes, [
    ['70', '-', 'mine'],
    ['-', '71', 'mine'],
  ]);
});

test('parseProcessTable() wants a PID column', () => {
  assert.throws(() => parseProcessTable('COMMAND\nsh\n', [1]), /Couldn't find PID field in ps output/);
});

test('checkPsArguments() refuses another column with the title PID', () => {
  checkPsArguments('-o pid=PID,comm');
  checkPsArguments('-ef');
  assert.throws(() => checkPsArguments('-o ppid=PID'), /specifying "ppid=PID" is not allowed/);
});
