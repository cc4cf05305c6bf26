import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { lockFile } from './file-lock.ts';

test('lockFile() lets one holder in at a time', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-lock-'));
  const file = path.join(directory, 'lock');
  try {
    {
      using _ = lockFile(file);
      assert.throws(() => lockFile(file), { kind: 'conflict' });
    }
    lockFile(file)[Symbol.dispose]();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
