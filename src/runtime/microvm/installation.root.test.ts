import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { run } from '#/host/process.ts';
import { kernelRelease, openInstallation, SANDBOX, type VmSources } from './installation.ts';

const root = mkdtempSync(path.join(tmpdir(), 'hull-installation-'));
after(() => rmSync(root, { recursive: true, force: true }));
const directory = path.join(root, 'installed');
const kernelDirectory = path.join(root, 'kernel');
const sources: VmSources = {
  kernelDirectory,
  agent: path.join(root, 'agent'),
  hullVm: path.join(root, 'hull-vm'),
  ramLibrary: path.join(root, 'ram.so'),
  trimLibrary: path.join(root, 'trim.so'),
  init: undefined,
};
mkdirSync(path.join(kernelDirectory, 'modules'), { recursive: true });
writeFileSync(path.join(kernelDirectory, 'vmlinux'), 'kernel');
writeFileSync(path.join(kernelDirectory, 'release'), '6.1.0\n');
writeFileSync(path.join(kernelDirectory, 'modules/order'), '');
for (const file of [sources.agent, sources.hullVm, sources.ramLibrary, sources.trimLibrary])
  writeFileSync(file, file, { mode: 0o755 });

test('openInstallation() makes it once, anew when a source has changed, and removes what is not in use', async () => {
  const first = await openInstallation(directory, sources, () => false);
  assert.equal(first.kernelRelease, '6.1.0');
  assert.equal(first.trimLibrary, SANDBOX.trimLibrary);
  const made = statSync(first.root).ctimeMs;
  const again = await openInstallation(directory, sources, () => false);
  assert.deepEqual([again.directory, statSync(again.root).ctimeMs], [first.directory, made]);

  writeFileSync(sources.agent, 'another agent');
  const second = await openInstallation(directory, sources, (other) => other === first.directory);
  assert.notEqual(second.directory, first.directory);
  assert.equal(readdirSync(directory).length, 2);
  // What a crash has left unfinished, and what is no longer used.
  mkdirSync(path.join(directory, 'unfinished.1'));
  await openInstallation(directory, sources, () => false);
  assert.deepEqual(readdirSync(directory), [path.basename(second.directory)]);
});

test('the sandbox’s root runs QEMU by itself, and hull-vm cannot be read by who executes it', async () => {
  const { root: inside } = await openInstallation(directory, sources, () => false);
  const { code, stdout } = await run('chroot', [inside, '/usr/bin/qemu-system-x86_64', '--version'], {
    timeoutMs: 10_000,
  });
  assert.equal(code, 0);
  assert.match(stdout.toString(), /QEMU emulator/);
  assert.equal(statSync(path.join(inside, SANDBOX.hullVm)).mode & 0o777, 0o711);
  assert.deepEqual(readdirSync(path.join(inside, 'proc')), []);
});

test('what is missing is named, and what to install', async () => {
  const wrong = { ...sources, kernelDirectory: path.join(root, 'nowhere') };
  await assert.rejects(
    openInstallation(directory, wrong, () => false),
    {
      kind: 'unavailable',
      message: /nowhere\/vmlinux.*qemu-system-x86.*install-kernel/,
    },
  );
  assert.throws(() => kernelRelease(wrong), { kind: 'unavailable' });
});
