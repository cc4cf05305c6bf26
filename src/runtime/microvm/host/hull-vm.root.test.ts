import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import os from 'node:os';
import { createInterface } from 'node:readline';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { suite, test } from 'node:test';

import { run } from '#/host/process.ts';
import { compileSeccomp } from '#/host/seccomp-bpf.ts';

import { qemuSeccomp } from '../qemu-seccomp.ts';
import { encodeRlimit } from '../run-body.ts';
import * as vm from './hull-vm.harness.ts';
import { Sandbox, u32 } from './hull-vm.harness.ts';

const QEMU_FILTER = qemuSeccomp({ architecture: process.arch, kernel: os.release() });

/** hull-vm by itself: the test speaks as the guest, behind a process that stands in for QEMU. */
suite('hull-vm', { skip: process.getuid?.() !== 0, timeout: 300_000 }, async () => {
  const { code } = await run(path.join(import.meta.dirname, 'build.sh'), [], { timeoutMs: 60_000 });
  assert.equal(code, 0);

  test('the calls reach the guest, the exit code comes back', async () => {
    await using sandbox = new Sandbox({ configure: vm.record(0x09, 'box'), run: vm.record(0x20, ['true']) });
    const guest = await sandbox.guest();
    const configure = await guest.take(vm.CALL, vm.CONFIGURE_STREAM);
    assert.deepEqual(configure.payload, Buffer.concat([Buffer.from([1]), u32(11), vm.record(0x09, 'box')]));
    await sleep(50);
    assert.deepEqual(guest.frames, []);
    // The end of a channel that was not needed is no fault.
    guest.data(vm.CONFIGURE_STREAM, 1, '');
    guest.send(vm.RESULT, vm.CONFIGURE_STREAM, u32(0));
    const started = await guest.take(vm.CALL, vm.MAIN);
    assert.equal(started.payload[0], 2);
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

  test('10 MB go each way, a slow reader and a half-close included', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const input = randomBytes(10 << 20);
    sandbox.process.stdin?.end(input);
    const got = receive(guest, vm.MAIN);
    assert.ok(input.equals(await got));
    const sent = send(guest, vm.MAIN, 1, input).then(() => guest.end(0));
    const output: Buffer[] = [];
    for await (const chunk of sandbox.process.stdout ?? []) {
      output.push(chunk as Buffer);
      if (output.length % 20 === 0) await sleep(5);
    }
    await sent;
    assert.ok(input.equals(Buffer.concat(output)));
    assert.equal(await sandbox.exited, 0);
  });

  test('an end does not wait for a reader that stands still', async () => {
    await using sandbox = new Sandbox();
    sandbox.process.stdout?.pause();
    const guest = await sandbox.guest();
    await guest.start();
    await send(guest, vm.MAIN, 1, Buffer.alloc(65536, 'x'));
    guest.end(3 << 8);
    assert.equal(await vm.exitCode(sandbox.process), 3);
  });

  test('stdout that nobody reads is thrown away, and stderr that ended is closed', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const exec = sandbox.exec(vm.record(0x26));
    const { stream } = await guest.take(vm.CALL);
    exec.stdout?.destroy();
    await send(guest, stream, 1, Buffer.alloc(1 << 20));
    guest.data(stream, 2, 'last');
    guest.data(stream, 2, '');
    assert.equal(await text(exec.stderr ?? assert.fail()), 'last');
    assert.equal(exec.exitCode, null);
    guest.send(vm.RESULT, stream, u32(0, 0), Buffer.from([0]));
    assert.equal(await vm.exitCode(exec), 0);
  });

  test('a tap of the sandbox is handed over, with headers', async () => {
    await using sandbox = new Sandbox({
      owner: { uid: 65534, gid: 65534 },
      before: 'ip tuntap add dev tap7 mode tap vnet_hdr',
      qemu: ['cat', '/proc/self/fdinfo/6'],
      records: [vm.record(0x81, ['6', 'tap7'])],
    });
    assert.equal(await sandbox.exited, 127);
    assert.match(sandbox.exitFile().startError ?? '', /^QEMU ended with code 0: [^]*iff:\ttap7/);
  });

  test('CONSOLE shows what the console says', async () => {
    await using sandbox = new Sandbox({ records: [vm.record(0x89)] });
    const guest = await sandbox.guest();
    await guest.start();
    guest.console.write('booting');
    const [shown] = await once(sandbox.process.stderr ?? assert.fail(), 'data');
    assert.equal(String(shown), 'booting');
  });

  test('a main process that the guest lost', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    guest.send(vm.RESULT, vm.MAIN, u32(5), Buffer.from('the disk is gone'));
    assert.equal(await sandbox.exited, 137);
    assert.equal(sandbox.exitFile().reason, 'the guest lost the main process: the disk is gone');
  });

  test('without STDIN the guest gets none', async () => {
    await using sandbox = new Sandbox({ run: vm.record(0x20, ['true']) });
    const guest = await sandbox.guest();
    await guest.start();
    sandbox.process.stdin?.end('x');
    const client = await sandbox.client();
    client.call(1, 4);
    const { stream } = await guest.take(vm.CALL);
    guest.send(vm.RESULT, stream, u32(0));
    await client.result(1);
    assert.deepEqual(guest.frames, []);
  });

  test('a main process that a signal ended', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    guest.end(15);
    assert.equal(await sandbox.exited, 143);
    assert.deepEqual(sandbox.exitFile(), { code: 143, oomKilled: false });
  });

  test('what could not be started is told by STARTED and in the exit file', async () => {
    for (const stream of [vm.CONFIGURE_STREAM, vm.MAIN]) {
      await using sandbox = new Sandbox();
      const guest = await sandbox.guest();
      const client = await sandbox.client();
      client.call(7, vm.METHOD_STARTED);
      await guest.take(vm.CALL, vm.CONFIGURE_STREAM);
      if (stream === vm.MAIN) {
        guest.send(vm.RESULT, vm.CONFIGURE_STREAM, u32(0));
        await guest.take(vm.CALL, vm.MAIN);
      }
      guest.send(vm.RESULT, stream, u32(2), Buffer.from('executable file `x` not found in $PATH'));
      assert.deepEqual(await client.result(7), {
        error: 2,
        answer: Buffer.from('executable file `x` not found in $PATH'),
      });
      await client.closed();
      assert.equal(await sandbox.exited, 127);
      assert.deepEqual(sandbox.exitFile(), {
        code: 127,
        oomKilled: false,
        startError: 'executable file `x` not found in $PATH',
      });
    }
  });

  test('a QEMU that ends before the start says why', async () => {
    await using sandbox = new Sandbox({
      qemu: ['sh', '-c', 'echo "no such \\"machine\\"" >&2; echo panic >&4; exit 9'],
    });
    assert.equal(await sandbox.exited, 127);
    assert.equal(
      sandbox.exitFile().startError,
      'QEMU ended with code 9: no such "machine"; the last words of its console: panic',
    );
  });

  test('a QEMU that cannot be run, a file that is not there, a FILE that is none', async () => {
    await using missing = new Sandbox({ qemu: ['/nowhere'] });
    assert.equal(await missing.exited, 127);
    assert.match(missing.exitFile().startError ?? '', /cannot run it: No such file or directory/);
    for (const [records, words] of [
      [[vm.record(0x80, ['5', '/nowhere', 'ro'])], /^cannot open "\/nowhere": No such file or directory$/],
      [[vm.record(0x80, ['4', '/dev/null', 'ro'])], /^cannot use descriptor "4": Invalid argument$/],
      [[vm.record(0x80, ['5', '/dev/null', 'x'])], /^cannot open "\/dev\/null": Invalid argument$/],
      [[vm.record(0x81, ['5', 'nosuchtap'])], /^cannot open tap "nosuchtap": No such device$/],
      [[vm.record(0x7f)], /^cannot use "\/run\/file": Invalid argument$/],
      [[Buffer.alloc(3)], /^cannot use "\/run\/file": Invalid argument$/],
    ] as const) {
      await using sandbox = new Sandbox({ records });
      assert.equal(await sandbox.exited, 127);
      assert.match(sandbox.exitFile().startError ?? '', words);
    }
  });

  test('QEMU is the owner, holds nothing but what the file names, and has no network', async () => {
    const script = `
      grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|SigBlk):' /proc/self/status
      ls /proc/self/fd | tr '\\n' ' '
      cat <&9
      readlink /proc/self/fd/0
      tail -n +3 /proc/net/dev | wc -l
      ulimit -c
      echo $LD_PRELOAD
      stat -c '%s %b' -L /proc/self/fd/200
      od -An -c -j 8388608 /proc/self/fd/200`;
    await using sandbox = new Sandbox({
      owner: { uid: 65534, gid: 65533 },
      before: 'umask 077; echo secret >/run/secret; truncate -s 8M /run/ram; echo ram >>/run/ram',
      qemu: ['sh', '-c', script],
      records: [
        vm.record(0x80, ['9', '/run/secret', 'rw']),
        vm.record(0x88, ['200', '/run/ram']),
        vm.record(0x83, '/nothing.so'),
      ],
    });
    assert.equal(await sandbox.exited, 127);
    const words = (sandbox.exitFile().startError ?? '')
      .replaceAll(/ERROR: ld.so.*\n/g, '')
      .replaceAll(/[ \t]+/g, ' ');
    assert.ok(
      words.includes('Uid: 65534 65534 65534 65534\nGid: 65533 65533 65533 65533\nGroups: \n'),
      words,
    );
    assert.match(words, /CapInh: 0+\nCapPrm: 0+\nCapEff: 0+\nCap/);
    assert.match(words, /CapAmb: 0+\nNoNewPrivs: 1\n/);
    // 6 is ls's own.
    assert.match(
      words,
      /\n0 1 2 200 3 4 5 6 9 secret\n\/dev\/null\n1\n0\n\/nothing.so\n8388612 8\n r a m \\n$/,
    );
  });

  test('QEMU is limited, filtered, and has no way to a capability', async () => {
    const script = `
      grep -E '^(CapBnd|Seccomp):' /proc/self/status
      ulimit -f
      dd if=/dev/zero of=/run/vm/large bs=1k count=8 2>/dev/null; echo $? $(stat -c %s /run/vm/large)
      kill -0 1 2>&1
      unshare -U true 2>&1
      ip link 2>&1
      perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "/run/vm/mine", Listen => 1) or print "$!\\n"'`;
    await using sandbox = new Sandbox({
      owner: { uid: 65534, gid: 65533 },
      qemu: ['busybox', 'sh', '-c', script],
      records: [
        vm.record(0x28, encodeRlimit({ type: 'RLIMIT_FSIZE', soft: 4096, hard: 4096 })),
        vm.record(0x2a, Buffer.concat([u32(0), compileSeccomp(QEMU_FILTER)])),
      ],
    });
    assert.equal(await sandbox.exited, 127);
    const words = (sandbox.exitFile().startError ?? '').replaceAll(/[ \t]+/g, ' ');
    assert.match(words, /CapBnd: 0+\nSeccomp: 2\n8\n153 4096\n/);
    assert.match(words, /kill.*not permitted[^]*unshare.*not permitted[^]*socket.*not permitted/);
    assert.match(words, /\nOperation not permitted$/);
  });

  test('a filter that is none, or a limit beyond what is, lets nothing start', async () => {
    const wrong = [vm.record(0x2a, u32(0)), vm.record(0x2a, Buffer.alloc(12, 0xff))];
    for (const record of wrong) {
      await using sandbox = new Sandbox({ qemu: ['true'], records: [record] });
      assert.equal(await sandbox.exited, 127);
      assert.match(sandbox.exitFile().startError ?? '', /filter/);
    }
  });

  test('hull-vm itself becomes the owner, whose its socket is', async () => {
    await using sandbox = new Sandbox({
      owner: { uid: 65534, gid: 65533 },
      qemu: ['sleep', '1000'],
    });
    const client = await sandbox.client();
    client.call(1, vm.METHOD_SIGNAL, vm.record(0x30, u32(1)));
    assert.equal((await client.result(1)).error, 3);
    const status = readFileSync(`/proc/${sandbox.pid()}/status`, 'utf8');
    assert.match(status, /Uid:\t65534\t65534\t65534\t65534\nGid:\t65533\t/);
    assert.match(status, /CapPrm:\t0+\nCapEff:\t0+\n[^]*NoNewPrivs:\t1\n/);
    const socket = statSync(path.join(sandbox.directory, 'sock'));
    assert.deepEqual([socket.mode & 0o777, socket.uid], [0o600, 65534]);
    process.kill(sandbox.pid(), 'SIGTERM');
    assert.equal(await sandbox.exited, 143);
    assert.equal(sandbox.exitFile().code, 143);
  });

  test('a termination of hull-vm ends QEMU and the exit file says so', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    guest.console.write('hello\r\n');
    const client = await sandbox.client();
    client.call(1, vm.METHOD_STARTED);
    await client.result(1);
    client.call(1, 4);
    await guest.take(vm.CALL);
    await sleep(50);
    process.kill(sandbox.pid(), 'SIGTERM');
    assert.deepEqual(await client.result(1), { error: 108, answer: Buffer.from('the VM has ended') });
    assert.equal(await sandbox.exited, 143);
    assert.deepEqual(sandbox.exitFile(), {
      code: 143,
      oomKilled: false,
      reason: 'hull-vm was ended by signal 15; the last words of its console: hello',
    });
  });

  test('a QEMU that ends while the process runs says why', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    guest.console.write(`${'x'.repeat(10_000)} Kernel panic`);
    await sleep(100);
    guest.socket.destroy();
    assert.equal(await sandbox.exited, 137);
    const { code, reason } = sandbox.exitFile();
    assert.equal(code, 137);
    assert.match(
      reason ?? '',
      /^QEMU ended with code 3: let go; the last words of its console: x{4083} Kernel panic$/,
    );
  });

  test('a result just before the end of QEMU counts', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    for (let i = 0; i < 2; i++) guest.data(vm.MAIN, 1, Buffer.alloc(32_000));
    guest.end(4 << 8);
    guest.socket.destroySoon();
    assert.equal(await sandbox.exited, 4);
    assert.deepEqual(sandbox.exitFile(), { code: 4, oomKilled: false });
  });

  test('SIGNAL and SIZE reach the main process, and are refused with another body', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    const client = await sandbox.client();
    client.call(1, vm.METHOD_SIZE, vm.record(0x31, Buffer.from([0, 24, 0, 80])));
    assert.equal((await client.result(1)).error, 3);
    client.call(1, vm.METHOD_SIGNAL, vm.record(0x30, u32(10)));
    assert.equal((await client.result(1)).error, 3);
    await guest.start();
    client.call(1, vm.METHOD_STARTED);
    await client.result(1);
    client.call(1, vm.METHOD_SIZE, vm.record(0x31, Buffer.from([0, 24, 0, 80])));
    assert.equal((await client.result(1)).error, 0);
    assert.deepEqual((await guest.take(vm.CONTROL, vm.MAIN)).payload, Buffer.from([2, 0, 24, 0, 80]));
    // In pieces.
    const body = vm.record(0x30, u32(10));
    client.send(vm.CALL, 2, Buffer.from([vm.METHOD_SIGNAL]), u32(body.length), body.subarray(0, 3));
    client.send(vm.BODY, 2, body.subarray(3));
    assert.equal((await client.result(2)).error, 0);
    assert.deepEqual(
      (await guest.take(vm.CONTROL, vm.MAIN)).payload,
      Buffer.concat([Buffer.from([1]), u32(10)]),
    );
    for (const [method, wrong] of [
      [vm.METHOD_SIGNAL, vm.record(0x31, u32(10))],
      [vm.METHOD_SIGNAL, Buffer.alloc(0)],
      [vm.METHOD_SIZE, Buffer.alloc(1000)],
      [vm.METHOD_STARTED, Buffer.alloc(1)],
    ] as const) {
      client.call(3, method, wrong);
      assert.equal((await client.result(3)).error, 22);
    }
  });

  test('many clients have many calls at once', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const clients = await Promise.all(Array.from({ length: 20 }, async () => sandbox.client()));
    for (const [index, client] of clients.entries()) {
      for (let stream = 0; stream < 50; stream++) client.call(stream, 4, Buffer.from(`${index} ${stream}`));
    }
    const open = await Promise.all(Array.from({ length: 1000 }, async () => guest.take(vm.CALL)));
    assert.equal(new Set(open.map(({ stream }) => stream)).size, 1000);
    for (const { stream, payload } of open.reverse())
      guest.send(vm.RESULT, stream, u32(0), payload.subarray(5));
    for (const [index, client] of clients.entries()) {
      for (let stream = 0; stream < 50; stream++) {
        assert.equal((await client.result(stream)).answer.toString(), `${index} ${stream}`);
      }
    }
    // And no more than that.
    const [client] = clients;
    assert.ok(client);
    for (let stream = 0; stream < 257; stream++) client.call(stream, 4);
    assert.equal((await client.result(256)).error, 11);
  });

  test('a body of 4 MiB and DATA pass whole, a client that goes away has cancelled its calls', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const client = await sandbox.client();
    const body = randomBytes(4 << 20);
    client.send(vm.CALL, 1, Buffer.from([0x0a]), u32(body.length));
    for (let at = 0; at < body.length; at += 32768) client.send(vm.BODY, 1, body.subarray(at, at + 32768));
    const { stream } = await guest.take(vm.CALL);
    let length = 0;
    while (length < body.length) {
      const { payload } = await guest.take(vm.BODY, stream);
      assert.ok(payload.equals(body.subarray(length, length + payload.length)));
      length += payload.length;
    }
    const data = randomBytes(5 << 20);
    const [got] = await Promise.all([receive(guest, stream), send(client, 1, 0, data, true)]);
    assert.ok(got.equals(data));
    client.call(2, 4);
    const other = await guest.take(vm.CALL);
    client.socket.destroy();
    await guest.take(vm.CANCEL, stream);
    await guest.take(vm.CANCEL, other.stream);
    guest.data(stream, 1, 'crossed');
    guest.send(vm.RESULT, stream, u32(0));
    const another = await sandbox.client();
    // Once a later result has come through, the one before has been seen, too.
    another.call(9, 4);
    guest.send(vm.RESULT, (await guest.take(vm.CALL)).stream, u32(0));
    await another.result(9);
    another.call(10, 4);
    assert.equal((await guest.take(vm.CALL)).stream, stream);
  });

  for (const how of ['cancels it', 'goes away', 'is refused by QEMU'] as const) {
    test(`CHECKPOINT: the guest goes on when who asked ${how}, and what was sent to it comes then`, async () => {
      await using sandbox = new Sandbox();
      const guest = await sandbox.guest();
      await guest.start();
      const commands = new Commands(guest.monitor);
      const [client, other] = [await sandbox.client(), await sandbox.client()];
      client.call(3, vm.METHOD_STARTED);
      await client.result(3);
      client.call(1, vm.METHOD_CHECKPOINT);
      await guest.take(vm.CALL, vm.SUSPEND_STREAM);
      client.call(2, 0x04);
      other.call(1, vm.METHOD_CHECKPOINT);
      assert.equal((await other.result(1)).error, os.constants.errno.EBUSY);
      guest.send(vm.RESULT, vm.SUSPEND_STREAM, u32(0));
      assert.equal(await commands.next(), 'stop');
      assert.ok(!guest.frames.some(({ type }) => type === vm.CALL));
      if (how === 'is refused by QEMU') {
        commands.answer({ error: { class: 'GenericError', desc: 'it cannot' } });
      } else {
        commands.answer({ return: {} });
        assert.deepEqual((await client.take(vm.EVENT, 1)).payload, Buffer.from([4]));
        assert.equal(await commands.next(), 'migrate-set-capabilities');
        if (how === 'cancels it') {
          client.send(vm.CANCEL, 1);
        } else {
          client.socket.destroy();
          await client.closed();
        }
        // When this has an answer, that has come.
        const witness = how === 'cancels it' ? client : other;
        witness.call(3, vm.METHOD_STARTED);
        await witness.result(3);
        commands.answer({ return: {} });
      }
      assert.equal(await commands.next(), 'cont');
      commands.answer({ return: {} });
      await guest.take(vm.CALL, vm.SUSPEND_STREAM);
      guest.send(vm.RESULT, vm.SUSPEND_STREAM, u32(0));
      if (how !== 'goes away') {
        const { error, answer } = await client.result(1);
        const { ECANCELED, EIO } = os.constants.errno;
        assert.equal(error, how === 'cancels it' ? ECANCELED : EIO);
        assert.equal(answer.toString(), how === 'cancels it' ? 'the checkpoint was cancelled' : 'it cannot');
        assert.equal((await guest.take(vm.CALL)).payload[0], 4);
      }
      guest.end(0);
      assert.equal(await sandbox.exited, 0);
    });
  }

  test('CANCEL amid a body and a frame that crosses the result are no faults', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const client = await sandbox.client();
    client.send(vm.CALL, 1, Buffer.from([4]), u32(100));
    client.send(vm.CANCEL, 1);
    const { stream } = await guest.take(vm.CALL);
    await guest.take(vm.CANCEL, stream);
    guest.send(vm.RESULT, stream, u32(125));
    assert.equal((await client.result(1)).error, 125);
    client.send(vm.CANCEL, 1);
    client.credit(1, 1, 10);
    client.data(1, 0, 'x');
    client.call(1, 4);
    assert.equal((await guest.take(vm.CALL)).stream, stream);
    assert.deepEqual(guest.frames, []);
  });

  test('a client that does not read stops only its own streams', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const [slow, quick] = [await sandbox.client(), await sandbox.client()];
    slow.call(1, 9);
    slow.credit(1, 1, 1 << 30);
    const { stream } = await guest.take(vm.CALL);
    slow.socket.pause();
    let allowed = 65536;
    for (;;) {
      while (allowed >= 32767) {
        guest.data(stream, 1, Buffer.alloc(32767));
        allowed -= 32767;
      }
      // Events that are not taken give way to later ones.
      for (let i = 0; i < 100; i++)
        guest.send(vm.EVENT, stream, Buffer.from([3]), Buffer.alloc(32000, String(i % 10)));
      await sleep(100);
      const credits = guest.frames.splice(0);
      if (credits.length === 0) break;
      for (const { payload } of credits) allowed += payload.readUInt32BE(1);
    }
    assert.ok(allowed < 32767);
    assert.ok(memoryOf(sandbox.pid()) < 2 << 20, `${memoryOf(sandbox.pid())}`);
    quick.call(1, 4);
    const other = await guest.take(vm.CALL);
    guest.send(vm.RESULT, other.stream, u32(0));
    await quick.result(1);
    slow.socket.resume();
    await guest.take(vm.CREDIT, stream);
    guest.send(vm.RESULT, stream, u32(0));
    await slow.result(1);
    const events = slow.frames.filter(({ type }) => type === vm.EVENT);
    assert.ok(events.length < 100, `${events.length}`);
    assert.equal(events.at(-1)?.payload[1], 0x39);
  });

  test('a client that breaks the rules is let go, the others go on', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    for (const wrong of [
      vm.frame(9, 0),
      vm.frame(0, 0),
      vm.frame(vm.RESULT, 1, u32(0)),
      vm.frame(vm.EVENT, 1, Buffer.from([1])),
      Buffer.from([vm.CALL, 1, 0, 9, 0, 0, 0, 5, 4, 0, 0, 0, 0]),
      Buffer.from([vm.DATA, 0, 0, 1, 0, 0, 0x80, 1]),
      Buffer.from([vm.DATA, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]),
      vm.frame(vm.CALL, 1, Buffer.from([4]), u32(0)),
      vm.frame(vm.CALL, 2, Buffer.from([4]), u32(0), Buffer.from('x')),
      vm.frame(vm.CALL, 2, Buffer.from([4]), u32((4 << 20) + 1)),
      vm.frame(vm.CALL, 2),
      vm.frame(vm.BODY, 1, Buffer.from('x')),
      vm.frame(vm.DATA, 1),
      vm.frame(vm.DATA, 1, Buffer.from([1]), Buffer.from('x')),
      Buffer.concat(Array.from({ length: 3 }, () => vm.frame(vm.DATA, 1, Buffer.alloc(30_000)))),
      Buffer.concat(Array.from({ length: 2 }, () => vm.frame(vm.DATA, 1, Buffer.alloc(1)))),
      vm.frame(vm.CREDIT, 1, Buffer.from([0]), u32(1)),
      vm.frame(vm.CREDIT, 1, Buffer.from([3]), u32(1)),
      vm.frame(vm.CREDIT, 1, Buffer.from([1]), u32(0xffffffff)),
      vm.frame(vm.CONTROL, 1, Buffer.from([3]), u32(0)),
      vm.frame(vm.CONTROL, 1, Buffer.from([1])),
      vm.frame(vm.CANCEL, 1, Buffer.from('x')),
    ]) {
      const client = await sandbox.client();
      client.call(1, 4);
      client.socket.write(wrong);
      await client.closed();
      const { stream } = await guest.take(vm.CALL);
      await guest.take(vm.CANCEL, stream);
      guest.send(vm.RESULT, stream, u32(125));
      guest.frames.length = 0;
    }
    const client = await sandbox.client();
    client.call(1, vm.METHOD_STARTED);
    assert.equal((await client.result(1)).error, 0);
  });

  test('a guest that breaks the rules is ended', async () => {
    for (const wrong of [
      vm.frame(9, 0),
      vm.frame(vm.CALL, 1, Buffer.from([1]), u32(0)),
      vm.frame(vm.RESULT, 3, u32(0)),
      vm.frame(vm.RESULT, 5000, u32(0)),
      vm.frame(vm.RESULT, vm.CONFIGURE_STREAM, u32(0)),
      vm.frame(vm.RESULT, vm.MAIN, u32(0)),
      vm.frame(vm.RESULT, vm.MAIN),
      vm.frame(vm.EVENT, vm.MAIN, Buffer.from([1]), u32(8)),
      vm.frame(vm.EVENT, vm.MAIN, Buffer.from([2])),
      vm.frame(vm.DATA, vm.MAIN, Buffer.from([0]), Buffer.from('x')),
      vm.frame(vm.CREDIT, vm.MAIN, Buffer.from([1]), u32(1)),
      vm.frame(vm.CREDIT, vm.MAIN, Buffer.from([0]), u32(0xffffffff)),
      Buffer.concat(Array.from({ length: 2 }, () => vm.frame(vm.DATA, vm.MAIN, Buffer.from([1])))),
      Buffer.from([vm.DATA, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([vm.DATA, 1, 0, 1, 0, 0, 0, 1, 1]),
    ]) {
      await using sandbox = new Sandbox();
      const guest = await sandbox.guest();
      await guest.start();
      guest.socket.write(wrong);
      assert.equal(await sandbox.exited, 137);
      assert.equal(sandbox.exitFile().reason, 'the guest broke the protocol');
    }
  });

  test('a guest that floods everything neither grows memory nor starves clients', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const client = await sandbox.client();
    client.call(1, 12);
    const { stream } = await guest.take(vm.CALL);
    const flood = Buffer.concat(
      Array.from({ length: 1000 }, () =>
        Buffer.concat([
          vm.frame(vm.CREDIT, stream, Buffer.from([0]), u32(1)),
          vm.frame(vm.EVENT, stream, Buffer.from([3]), Buffer.alloc(1000)),
        ]),
      ),
    );
    client.socket.pause();
    let most = 0;
    const other = await sandbox.client();
    for (let i = 0; i < 40; i++) {
      guest.console.write(Buffer.alloc(1 << 20));
      guest.socket.write(flood);
      other.call(2, vm.METHOD_STARTED);
      assert.equal((await other.result(2)).error, 0);
      most = Math.max(most, memoryOf(sandbox.pid()));
    }
    assert.ok(most < 2 << 20, `${most}`);
    assert.equal(sandbox.process.exitCode, null);
  });

  test('a guest that does not read makes its callers wait and grows no memory', async () => {
    await using sandbox = new Sandbox({ qemu: ['sleep', '1000'] });
    const client = await sandbox.client();
    for (let stream = 0; stream < 10; stream++) {
      client.send(vm.CALL, stream, Buffer.from([10]), u32(4 << 20));
      for (let at = 0; at < 4 << 20; at += 32768) client.send(vm.BODY, stream, Buffer.alloc(32768));
    }
    sandbox.process.stdin?.write(Buffer.alloc(1 << 20));
    await sleep(300);
    assert.ok(client.socket.writableLength > 30 << 20);
    assert.ok(memoryOf(sandbox.pid()) < 2 << 20, `${memoryOf(sandbox.pid())}`);
  });

  test('a guest that no longer answers is ended within seconds, one whose QEMU cannot run is not', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    await sleep(1200);
    assert.ok(guest.pings >= 2 && guest.pings <= 3, `${guest.pings}`);
    guest.answersPing = false;
    const qemu = childOf(sandbox.pid());
    process.kill(qemu, 'SIGSTOP');
    await sleep(4000);
    assert.equal(sandbox.process.exitCode, null);
    process.kill(qemu, 'SIGCONT');
    const from = Date.now();
    assert.equal(await sandbox.exited, 137);
    const passed = Date.now() - from;
    assert.ok(passed > 1500 && passed < 4500, `${passed}`);
    assert.equal(sandbox.exitFile().reason, 'the guest no longer answers');
  });

  test('hull-vm and QEMU frozen together live on', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const hull = sandbox.pid();
    const qemu = childOf(hull);
    for (const pid of [hull, qemu]) process.kill(pid, 'SIGSTOP');
    await sleep(3500);
    for (const pid of [hull, qemu]) process.kill(pid, 'SIGCONT');
    await sleep(1000);
    guest.end(0);
    assert.equal(await sandbox.exited, 0);
  });

  test('a terminal is raw, its size and its changes go to the guest', async () => {
    await using sandbox = new Sandbox({ stdio: 'terminal', run: vm.record(0x25, Buffer.alloc(4)) });
    const guest = await sandbox.guest();
    await guest.start();
    assert.deepEqual((await guest.take(vm.CONTROL, vm.MAIN)).payload, Buffer.from([2, 0, 33, 0, 77]));
    sandbox.process.stdin?.write('\x03\r');
    assert.equal((await guest.take(vm.DATA, vm.MAIN)).payload.toString(), '\0\x03\r');
    const terminal = readlinkSync(`/proc/${sandbox.pid()}/fd/0`);
    await run('stty', ['-F', terminal, 'rows', '40', 'cols', '90'], { timeoutMs: 5000 });
    // stty sets one after the other.
    const wanted = Buffer.from([2, 0, 40, 0, 90]);
    while (!(await guest.take(vm.CONTROL, vm.MAIN)).payload.equals(wanted)) continue;
    guest.data(vm.MAIN, 1, 'a\nb');
    guest.end(5 << 8);
    const output = await text(sandbox.process.stdout ?? assert.fail());
    assert.equal(output, 'a\nb');
    assert.equal(await sandbox.exited, 5);
  });

  test('exec in a terminal, and one that is terminated', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const inTerminal = sandbox.exec(vm.record(0x25, Buffer.alloc(4)), 'terminal');
    const { stream } = await guest.take(vm.CALL);
    assert.deepEqual((await guest.take(vm.CONTROL, stream)).payload, Buffer.from([2, 0, 20, 0, 50]));
    guest.send(vm.RESULT, stream, u32(0, 6 << 8), Buffer.from([0]));
    assert.equal(await vm.exitCode(inTerminal), 6);

    const terminated = sandbox.exec(vm.record(0x20, ['x']));
    const second = await guest.take(vm.CALL);
    terminated.kill('SIGTERM');
    await guest.take(vm.CANCEL, second.stream);
    guest.send(vm.RESULT, second.stream, u32(0, 9), Buffer.from([0]));
    assert.equal(await vm.exitCode(terminated), 137);

    const killed = sandbox.exec(vm.record(0x20, ['x']));
    const third = await guest.take(vm.CALL);
    killed.kill('SIGKILL');
    await guest.take(vm.CANCEL, third.stream);
  });

  test('exec says why a process could not be executed, and that the VM ended', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    for (const [error, code] of [
      [2, 127],
      [13, 126],
    ] as const) {
      const exec = sandbox.exec(vm.record(0x20, ['x']));
      const { stream } = await guest.take(vm.CALL);
      guest.send(vm.RESULT, stream, u32(error), Buffer.from('the words'));
      assert.equal(await text(exec.stderr ?? assert.fail()), 'hull-vm: the words\n');
      assert.equal(await vm.exitCode(exec), code);
    }
    const exec = sandbox.exec(vm.record(0x20, ['x']));
    await guest.take(vm.CALL);
    guest.end(0);
    assert.equal(await text(exec.stderr ?? assert.fail()), 'hull-vm: the VM has ended\n');
    assert.equal(await vm.exitCode(exec), 137);
    const late = sandbox.exec(vm.record(0x20, ['x']));
    assert.equal(await vm.exitCode(late), 126);
  });

  test('exec carries 10 MB each way', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const exec = sandbox.exec(vm.record(0x26));
    const { stream } = await guest.take(vm.CALL);
    const bytes = randomBytes(10 << 20);
    exec.stdin?.end(bytes);
    assert.ok(bytes.equals(await receive(guest, stream)));
    const output = buffer(exec.stdout ?? assert.fail());
    await send(guest, stream, 1, bytes);
    guest.send(vm.RESULT, stream, u32(0, 0), Buffer.from([0]));
    assert.ok(bytes.equals(await output));
  });

  test('virtiofsd gets a listening socket, and its end is the end', async () => {
    await using sandbox = new Sandbox({
      owner: { uid: 65534, gid: 65534 },
      qemu: [
        'sh',
        '-c',
        'until test -S /run/vm/shares; do sleep 0.05; done; stat -c "%U %a" /run/vm/shares; sleep 1000',
      ],
      records: [
        vm.record(0x85, ['sh', '-c', 'id -u; readlink /proc/self/fd/3; sleep 0.3; echo away; exit 4']),
      ],
    });
    assert.equal(await sandbox.exited, 127);
    const words = sandbox.exitFile().startError ?? '';
    assert.match(words, /^virtiofsd ended with code 4: /);
    for (const word of [/\b0\n/, /socket:\[\d+\]/, /nobody 600/, /away/]) assert.match(words, word);
  });

  test('hull-vm-ram.so lets QEMU map a template of memory that it may only read', async () => {
    const command = `
      printf '{"execute":"qmp_capabilities"}{"execute":"quit"}' |
      exec qemu-system-x86_64 -nodefaults -no-user-config -display none -S -qmp stdio -m 64 \
        -M microvm,memory-backend=m -object memory-backend-file,id=m,size=64M,mem-path=/run/ram,share=off`;
    const outcomes = ['/run/hull-vm-ram.so', '/run/none.so'].map(async (library) => {
      await using sandbox = new Sandbox({
        owner: { uid: 65534, gid: 65534 },
        env: { HULL_RAM: '/run/ram' },
        before: `truncate -s 64M /run/ram && chmod 444 /run/ram && cp ${path.dirname(vm.PROGRAM)}/hull-vm-ram.so /run && chmod 755 /run/*.so`,
        qemu: ['sh', '-c', command],
        records: [vm.record(0x83, library)],
      });
      assert.equal(await sandbox.exited, 127);
      return sandbox.exitFile().startError ?? '';
    });
    const [mapped, refused] = await Promise.all(outcomes);
    assert.match(mapped ?? '', /^QEMU ended with code 0: [^]*SHUTDOWN/);
    assert.match(refused ?? '', /can't open backing store .run.ram for guest RAM: Permission denied/);
  });

  test('a hull-vm that is killed leaves no process', async () => {
    await using sandbox = new Sandbox();
    const guest = await sandbox.guest();
    await guest.start();
    const pids = [sandbox.pid(), childOf(sandbox.pid())];
    process.kill(sandbox.pid(), 'SIGKILL');
    await sandbox.exited;
    await guest.closed();
    for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}`));
  });
});

function memoryOf(pid: number): number {
  return Number(/^Rss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) * 1024;
}

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);
}

/** Takes a stream's channel 0 to its end, giving credit back in small portions. */
async function receive(speaker: vm.Speaker, stream: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const { payload } = await speaker.take(vm.DATA, stream);
    if (payload.length === 1) return Buffer.concat(parts);
    parts.push(payload.subarray(1));
    speaker.credit(stream, 0, payload.length - 1);
  }
}

/** Sends all of it, as credit allows. */
async function send(
  speaker: vm.Speaker,
  stream: number,
  channel: number,
  bytes: Buffer,
  end = false,
): Promise<void> {
  let allowed = 65536;
  for (let at = 0; at < bytes.length;) {
    while (allowed === 0) allowed += (await speaker.take(vm.CREDIT, stream)).payload.readUInt32BE(1);
    const part = bytes.subarray(at, at + Math.min(allowed, 32767));
    speaker.data(stream, channel, part);
    at += part.length;
    allowed -= part.length;
  }
  if (end) speaker.data(stream, channel, '');
}

/** What hull-vm tells QEMU. */
class Commands {
  readonly #lines: AsyncIterator<string>;
  readonly #monitor: Socket;
  #id = '';

  constructor(monitor: Socket) {
    this.#monitor = monitor;
    this.#lines = createInterface({ input: monitor })[Symbol.asyncIterator]();
  }

  async next(): Promise<string> {
    const { value } = (await this.#lines.next()) as { value: string };
    const { execute, id } = JSON.parse(value) as { execute: string; id: string };
    this.#id = id;
    return execute;
  }

  /** As QEMU writes it, with a blank after each colon. */
  answer(what: { return: object } | { error: { class: string; desc: string } }): void {
    const text = JSON.stringify({ id: this.#id, ...what }).replaceAll('":', '": ');
    this.#monitor.write(`${text}\r\n`);
  }
}
