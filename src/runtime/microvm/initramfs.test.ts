import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '#/host/process.ts';
import { encodeInitramfs } from './initramfs.ts';

test('encodeInitramfs() writes what cpio unpacks', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-initramfs-'));
  try {
    const files = [
      { name: 'init', mode: 0o755, content: Buffer.from('#!/bin/sh\n') },
      { name: 'modules/a/b.ko', mode: 0o644, content: Buffer.alloc(4099, 'x') },
      { name: 'modules/empty', mode: 0o600, content: Buffer.alloc(0) },
    ];
    const archive = encodeInitramfs(files);
    assert.deepEqual(encodeInitramfs(files), archive);
    const { code, stderr } = await run('busybox', ['cpio', '-id'], {
      input: archive,
      cwd: directory,
      timeoutMs: 10_000,
    });
    assert.equal(code, 0, stderr.toString());
    for (const { name, mode, content } of files) {
      assert.deepEqual(readFileSync(path.join(directory, name)), content);
      assert.equal(statSync(path.join(directory, name)).mode & 0o777, mode);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
