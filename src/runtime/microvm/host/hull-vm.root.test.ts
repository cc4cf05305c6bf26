import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import path from 'node:path';
import { suite, test } from 'node:test';

import { run } from '#/host/process.ts';

import * as vm from './hull-vm.harness.ts';
import { Sandbox, u32 } from './hull-vm.harness.ts';

/** hull-vm by itself: the test speaks as the guest, behind a process that stands in for QEMU. */
suite('hull-vm', { skip: process.getuid?.() !== 0, timeout: 60_000 }, async () => {
  const { code } = await run(path.join(import.meta.dirname, 'build.sh'), [], { timeoutMs: 60_000 });
  assert.equal(code, 0);

  test('the calls reach the guest, the exit code comes back', async () => {
    await using sandbox = new Sandbox({ configure: vm.record(0x09, 'box'), run: vm.record(0x20, ['true']) });
    const guest = await sandbox.guest();
    const configure = await guest.take(vm.CALL, vm.CONFIGURE_STREAM);
    assert.deepEqual(configure.payload, Buffer.concat([Buffer.from([1]), u32(11), vm.record(0x09, 'box')]));
    const started = await guest.take(vm.CALL, vm.MAIN);
    assert.equal(started.payload[0], 2);
    guest.send(vm.RESULT, vm.CONFIGURE_STREAM, u32(0));
    guest.send(vm.EVENT, vm.MAIN, Buffer.from([1]), u32(5));
    guest.data(vm.MAIN, 1, 'out');
    guest.data(vm.MAIN, 2, 'error');
    guest.end(42 << 8, true);
    assert.deepEqual(
      await Promise.all([
        sandbox.exited,
        text(sandbox.process.stdout ?? assert.fail()),
        text(sandbox.process.stderr ?? assert.fail()),
      ]),
      [42, 'out', 'error'],
    );
    assert.deepEqual(sandbox.exitFile(), { code: 42, oomKilled: true });
  });

  test('STARTED answers with the pid, other calls reach the guest on streams of its own', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    const [one, other] = [await sandbox.client(), await sandbox.client()];
    one.call(1, vm.METHOD_STARTED);
    one.call(2, 0x04, Buffer.from('one'));
    other.call(2, 0x04, Buffer.from('other'));
    await guest.start(99);
    assert.deepEqual(await one.result(1), { error: 0, answer: u32(99) });
    const calls = [await guest.take(vm.CALL), await guest.take(vm.CALL)];
    for (const { stream, payload } of calls) {
      guest.data(stream, 1, payload.subarray(5));
      guest.send(vm.RESULT, stream, u32(5), Buffer.from('words'));
    }
    for (const [client, word] of [
      [one, 'one'],
      [other, 'other'],
    ] as const) {
      assert.equal((await client.take(vm.DATA, 2)).payload.toString(), `\x01${word}`);
      assert.deepEqual(await client.result(2), { error: 5, answer: Buffer.from('words') });
    }
    other.call(3, vm.METHOD_STARTED);
    assert.equal((await other.result(3)).error, 0);
    guest.end(0);
    assert.equal(await sandbox.exited, 0);
  });

  test('exec carries a process of its own', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const body = vm.record(0x26);
    const exec = sandbox.exec(body);
    const { stream, payload } = await guest.take(vm.CALL);
    assert.deepEqual(payload.subarray(5), body);
    guest.send(vm.EVENT, stream, Buffer.from([1]), u32(8));
    exec.stdin?.end('question');
    assert.equal((await guest.take(vm.DATA, stream)).payload.toString(), '\0question');
    assert.equal((await guest.take(vm.DATA, stream)).payload.toString(), '\0');
    guest.data(stream, 1, 'answer');
    guest.send(vm.RESULT, stream, u32(0, 9), Buffer.from([0]));
    assert.equal(await text(exec.stdout ?? assert.fail()), 'answer');
    assert.equal(await vm.exitCode(exec), 137);
  });
});
