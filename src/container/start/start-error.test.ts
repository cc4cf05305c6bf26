import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startFailure } from './start-error.ts';

const PREFIX = 'failed to create task for container: failed to create shim task: OCI runtime create failed:';

test('startFailure() takes a sysctl that cannot be set for no command', () => {
  const said = 'crun: open `/proc/sys/kernel/domainname`: Permission denied';
  const failure = startFailure('crun', said, 'cmd');
  assert.equal(failure.error.message, `${PREFIX} crun: ${said}: unknown`);
  assert.equal(failure.exitCode, 128);
});

test('startFailure() says it in the words that clients read', () => {
  for (const [said, words, exitCode] of [
    [
      'executable file `foo` not found in $PATH: No such file or directory',
      'exec: "foo": executable file not found in $PATH',
      127,
    ],
    [
      'executable file `/no` not found: No such file or directory',
      'exec: "/no": stat /no: no such file or directory',
      127,
    ],
    ['open executable: Permission denied', 'exec: "cmd": permission denied', 126],
    [
      'runc create failed: unable to start container process: exec: "x": executable file not found in $PATH',
      'exec: "x": executable file not found in $PATH',
      127,
    ],
  ] as const) {
    const failure = startFailure('crun', said, 'cmd');
    assert.equal(
      failure.error.message,
      `${PREFIX} crun create failed: unable to start container process: ${words}: unknown`,
    );
    assert.equal(failure.exitCode, exitCode);
    assert.equal(failure.error.kind, 'invalid');
  }
});

test('startFailure() passes on what it does not know', () => {
  const failure = startFailure('crun', 'mount `x`: No such device\n', 'cmd');
  assert.equal(failure.error.message, `${PREFIX} crun: mount \`x\`: No such device: unknown`);
  assert.equal(failure.exitCode, 128);
});

test('startFailure() takes a limit that the kernel refuses for the request’s fault', () => {
  const said = 'writing file `cpu.rt_runtime_us`: Invalid argument';
  const failure = startFailure('crun', said, 'cmd');
  assert.equal(failure.error.message, `${PREFIX} crun: ${said}: unknown`);
  assert.deepEqual([failure.error.kind, failure.exitCode], ['invalid', 128]);
});

test('startFailure() explains a mount of the wrong kind', () => {
  const failure = startFailure('crun', "error stat'ing file `/etc/passwd/x`: Not a directory\n", 'cmd');
  assert.match(failure.error.message, /Are you trying to mount a directory onto a file \(or vice-versa\)\?/);
  assert.deepEqual([failure.error.kind, failure.exitCode], ['invalid', 127]);
});
