import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readExitRecord, writeExitRecord } from './exit-record.ts';

test('readExitRecord() gives what was written, and nothing for what is missing or torn', (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-exit-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  assert.equal(readExitRecord(directory), undefined);
  const record = { code: 137, at: new Date(1_700_000_000_123), error: 'it “failed”' };
  writeExitRecord(directory, record);
  assert.deepEqual(readExitRecord(directory), record);
  for (const torn of ['', '{"code":13']) {
    writeFileSync(path.join(directory, 'exit'), torn);
    assert.equal(readExitRecord(directory), undefined);
  }
});
