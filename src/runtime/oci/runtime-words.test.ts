import assert from 'node:assert/strict';
import { test } from 'node:test';

import { runtimeWords } from './runtime-words.ts';

test("runtimeWords() takes the last error out of a runtime's log", () => {
  const log = [
    '{"msg":"cannot set something","level":"warning","time":"2026-01-01T00:00:00Z"}',
    '{"level":"error","msg":"exec failed: exec: \\"foo\\": executable file not found in $PATH"}',
    '',
  ].join('\n');
  assert.equal(runtimeWords(log), 'exec failed: exec: "foo": executable file not found in $PATH');
  assert.equal(
    runtimeWords('{"msg":"executable file `x` not found in $PATH"}'),
    'executable file `x` not found in $PATH',
  );
  assert.equal(runtimeWords('plain words\n'), 'plain words');
  assert.equal(runtimeWords('{broken'), '{broken');
});
