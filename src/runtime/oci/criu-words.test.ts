import assert from 'node:assert/strict';
import { test } from 'node:test';

import { criuWords } from './criu-words.ts';

test('criuWords() finds the first error that matters', () => {
  const log = [
    '(00.000327) Version: 3.17.1 (gitid 0)',
    "(00.134916) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted",
    '(00.150277) Warn  (criu/cr-restore.c:1043): Set CLONE_PARENT',
    "(00.208755)      1: Error (criu/files-reg.c:1790): Can't lookup mount=27 for fd=1 path=/out.log",
    '(00.315112) Error (criu/cr-dump.c:2111): Dumping FAILED.',
  ];
  assert.equal(
    criuWords(log.join('\n')),
    "Can't lookup mount=27 for fd=1 path=/out.log (criu/files-reg.c:1790)",
  );
});

test('criuWords() of a log without errors is undefined', () => {
  assert.equal(criuWords('(00.000327) Version: 3.17.1 (gitid 0)\n'), undefined);
  assert.equal(criuWords(''), undefined);
});
