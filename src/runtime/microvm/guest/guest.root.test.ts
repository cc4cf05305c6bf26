import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';

import { GuestAgent, METHOD, record, texts, u16, u32, u64, FRAME } from './test/guest-agent.ts';

suite('hull-agent', { skip: process.getuid?.() !== 0 }, () => {
  test('RUN before CONFIGURE is refused, PING is not', async () => {
    await using guest = await GuestAgent.start();
    assert.equal((await guest.call(METHOD.ping).result).answer.length, 8);
    await assert.rejects(guest.run(['true']).code(), /not configured/);
  });

  test("the main process's exit code, output and end", async () => {
    await using guest = await GuestAgent.configured();
    const call = guest.run(['sh', '-c', 'echo out; echo error >&2; exit 3']);
    assert.equal(await call.code(), 3);
    assert.equal(call.text, 'out\n');
    assert.equal(call.errorText, 'error\n');
    assert.ok((await call.started.promise) > 0);
    await assert.rejects(guest.run(['true']).code(), /has ended/);
  });

  test('a signal ends it, and all that runs beside it before it', async () => {
    await using guest = await GuestAgent.configured();
    const main = guest.run(['sleep', '1000']);
    await main.started.promise;
    const other = guest.run(['sleep', '1000']);
    await other.started.promise;
    let first = '';
    void other.code().then(() => (first ||= 'other'));
    main.send(FRAME.control, Buffer.concat([Buffer.of(1), u32(9)]));
    assert.equal(await main.code(), 137);
    first ||= 'main';
    assert.equal(first, 'other');
    assert.equal(await other.code(), 137);
  });

  test('later processes join its namespaces', async () => {
    await using guest = await GuestAgent.configured([record(0x09, 'box'), record(0x0a, 'example')]);
    await guest.runIdle();
    assert.equal(
      await guest.sh('hostname; cat /proc/sys/kernel/domainname; cat /proc/1/cmdline | head -c5'),
      'box\nexample\nsleep',
    );
  });

  test('10 MB each way, past a slow reader', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const bytes = randomBytes(10_000_000);
    const call = guest.run(['cat'], { records: [record(0x26)] });
    call.reads = false;
    const sent = call.input(bytes);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(Buffer.concat(call.output).length <= 65_536);
    const before = performance.now();
    assert.equal((await guest.call(METHOD.ping).result).errno, 0);
    assert.ok(performance.now() - before < 500);
    call.reads = true;
    call.send(FRAME.credit, Buffer.concat([Buffer.of(1), u32(Buffer.concat(call.output).length)]));
    assert.equal(await call.code(), 0);
    await sent;
    assert.ok(Buffer.concat(call.output).equals(bytes));
  });

  test('a terminal, its size, its resize and its control characters', async () => {
    await using guest = await GuestAgent.configured();
    const call = guest.run(
      ['sh', '-c', 'tty; stty size; read x; stty size; ls -l /dev/console | head -c1; read x; exit 7'],
      {
        records: [record(0x25, u16(24, 80))],
      },
    );
    await call.until(({ text }) => text.includes('24 80'));
    call.send(FRAME.control, Buffer.concat([Buffer.of(2), u16(50, 132)]));
    await call.input(Buffer.from('x\n'), false);
    await call.until(({ text }) => /50 132\r\nc/.test(text));
    await call.input(Buffer.from('y\n'), false);
    assert.equal(await call.code(), 7);
    assert.match(call.text, /^\/dev\/pts\/0\r\n/);
  });

  test('a terminal beside the main process', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const call = guest.run(['sh', '-c', 'tty; exit 4'], { records: [record(0x25, u16(0, 0))] });
    assert.equal(await call.code(), 4);
    assert.equal(call.text, '/dev/pts/0\r\n');
    const interrupted = guest.run(['sleep', '1000'], { records: [record(0x25, u16(0, 0))] });
    await interrupted.started.promise;
    await interrupted.input(Buffer.from('\u0003'), false);
    assert.equal(await interrupted.code(), 130);
  });

  test("what cannot be executed, in crun's words", async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const refused = async (command: string, words: RegExp): Promise<void> => {
      await assert.rejects(guest.run([command]).code(), words);
    };
    await refused('nonesuch', /^Error: 2: executable file `nonesuch` not found in \$PATH: No such file/);
    await refused('/nonesuch', /^Error: 2: executable file `\/nonesuch` not found: No such file/);
    await refused('/etc/not-executable', /^Error: 13: open `\/etc\/not-executable`: Permission denied/);
    await refused('/etc', /^Error: 21: open `\/etc`: Is a directory/);
    await refused(
      '/etc/wrong-format',
      /^Error: 8: exec container process `\/etc\/wrong-format`: Exec format error/,
    );
  });

  test('users are looked up in the container', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const ids = async (user: string, records: Buffer[] = []): Promise<string> =>
      guest.sh('id -u; id -g; id -G; echo $HOME', { user, records });
    assert.equal(await ids('jane'), '1000\n1001\n1001 29\n/home/jane\n');
    assert.equal(await ids('1000'), '1000\n1001\n1001 29\n/home/jane\n');
    assert.equal(await ids('jane:video'), '1000\n44\n44\n/home/jane\n');
    assert.equal(await ids('4000:5000', [record(0x24, texts('audio', '77'))]), '4000\n5000\n5000 29 77\n/\n');
    await assert.rejects(ids('joe'), /unable to find user joe: no matching entries in passwd file/);
    await assert.rejects(ids('jane:joes'), /unable to find group joes: no matching entries in group file/);
  });

  test('capabilities, limits, no_new_privs, umask and the working directory', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const mask = 0xa80425fbn;
    const call = guest.run(['sh', '-c', 'cat /proc/self/status; ulimit -n; umask; pwd'], {
      user: 'jane',
      cwd: '/made/for/it',
      records: [
        record(0x27, u64(mask, mask, mask, 0x400n, 0x400n)),
        record(0x28, Buffer.concat([u32(7), u64(100n, 200n)])),
        record(0x29),
        record(0x2c, u32(0o077)),
      ],
    });
    assert.equal(await call.code(), 0, call.errorText);
    assert.match(call.text, /CapInh:\t0000000000000400\n/);
    assert.match(call.text, /CapPrm:\t0000000000000400\n/);
    assert.match(call.text, /CapBnd:\t00000000a80425fb\n/);
    assert.match(call.text, /CapAmb:\t0000000000000400\n/);
    assert.match(call.text, /NoNewPrivs:\t1\n/);
    assert.match(call.text, /\n100\n0077\n\/made\/for\/it\n$/);
  });

  test('a seccomp filter', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    // mkdir(2) fails with EPERM; all else is allowed. struct sock_filter is little endian: code, jt, jf, k.
    const instruction = (code: number, jt: number, jf: number, k: number): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt16LE(code, 0);
      bytes.writeUInt8(jt, 2);
      bytes.writeUInt8(jf, 3);
      bytes.writeUInt32LE(k, 4);
      return bytes;
    };
    const filter = Buffer.concat([
      instruction(0x20, 0, 0, 0),
      instruction(0x15, 0, 1, process.arch === 'x64' ? 83 : 34),
      instruction(0x06, 0, 0, 0x0005_0001),
      instruction(0x06, 0, 0, 0x7fff_0000),
    ]);
    for (const records of [[], [record(0x29)]]) {
      await assert.rejects(
        guest.sh('mkdir /tmp/x', { records: [...records, record(0x2a, Buffer.concat([u32(0), filter]))] }),
        /Operation not permitted/,
      );
    }
  });

  test('mounts, masked and read-only paths, files that are replaced in place', async () => {
    await using guest = await GuestAgent.configured([
      record(0x0c, Buffer.from('hosts\0one\n')),
      record(0x0d, texts('/etc/hosts', 'bind', '/run/hull/files/hosts', 'rbind,rprivate,ro')),
      record(0x0d, texts('/a/new/place', 'tmpfs', 'tmpfs', 'size=1m,noexec')),
      record(0x0d, texts('/home', 'tmpfs', 'tmpfs', 'tmpcopyup')),
      record(0x0e, '/masked'),
      record(0x0e, '/etc/group'),
      record(0x0e, '/not/there'),
      record(0x0f, '/etc'),
      record(0x11),
    ]);
    await guest.runIdle();
    assert.equal(
      await guest.sh('cat /etc/hosts /etc/group; ls /masked; grep -c " /a/new/place " /proc/mounts || true'),
      'one\n1\n',
    );
    await guest.call(METHOD.writeFile, record(0x0c, Buffer.from('hosts\0two\n'))).result;
    assert.equal(await guest.sh('cat /etc/hosts'), 'two\n');
    await assert.rejects(guest.sh('echo > /etc/hosts'), /Read-only file system/);
    await assert.rejects(guest.sh('echo > /x'), /Read-only file system/);
    await guest.sh('echo > /a/new/place/x');
  });

  test('STATS, MEMORY, PROCESSES and SIGNAL_ALL', async () => {
    await using guest = await GuestAgent.configured();
    const main = await guest.runIdle();
    const stats = (await guest.call(METHOD.stats).result).answer.toString();
    assert.match(stats, /^cpu\.stat usage_usec \d+$/m);
    assert.match(stats, /^meminfo MemTotal \d+$/m);
    assert.match(stats, /^net lo 0 0 0 0 0 0 0 0$/m);
    const memory = (await guest.call(METHOD.memory).result).answer.toString();
    assert.match(memory, /^meminfo MemTotal \d+\nmeminfo MemFree \d+\nmeminfo MemAvailable \d+\n$/);
    const processes = (await guest.call(METHOD.processes).result).answer.toString();
    assert.match(processes, /^\d+ 0 1 \d+ \d+ \d+ \d+ \d+ \d+ 0 S sleep\0sleep 1000\n$/);
    assert.equal((await guest.call(METHOD.signalAll, record(0x30, u32(9))).result).errno, 0);
    assert.equal(await main.code(), 137);
  });

  test('EVENTS tell of those who listen', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const events = guest.call(METHOD.events, record(0x50));
    const server = guest.run(['nc', '-l', '-p', '8080']);
    await events.until((call) => call.events.length > 0);
    assert.match(events.events[0]?.payload.toString() ?? '', /^tcp (0\.0\.0\.0|::) 8080\n$/);
    server.send(FRAME.cancel);
    assert.equal(await server.code(), 137);
    await events.until((call) => call.events.at(-1)?.payload.length === 0);
    events.send(FRAME.cancel);
    assert.equal((await events.result).errno, 125);
  });

  test('who breaks the rules is no longer heard', async () => {
    const broken: [string, (guest: GuestAgent) => void][] = [
      ['an unknown type', (guest) => guest.write(Buffer.from([0x40, 0, 0, 1, 0, 0, 0, 0]))],
      ['too long a frame', (guest) => guest.write(Buffer.from([1, 0, 0, 1, 0xff, 0, 0, 0]))],
      [
        'more than the credit',
        (guest) => {
          const call = guest.run(['sleep', '9'], { records: [record(0x26)] });
          for (let i = 0; i < 10; i += 1)
            call.send(FRAME.data, Buffer.concat([Buffer.of(0), Buffer.alloc(32_767)]));
        },
      ],
      [
        'a body longer than it was to be',
        (guest) => guest.write(Buffer.from([1, 0, 0, 1, 0, 0, 0, 7, 3, 0, 0, 0, 1, 1, 1])),
      ],
    ];
    for (const [what, does] of broken) {
      await using guest = await GuestAgent.configured();
      does(guest);
      await guest.closed;
      assert.ok(true, what);
    }
  });
});
