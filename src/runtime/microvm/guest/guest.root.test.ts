import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';

import { GuestAgent, METHOD, record, texts, u16, u32, u64, FRAME } from './test/guest-agent.ts';

interface Entry {
  name: Buffer;
  /** The last of each tag. */
  records: Map<number, Buffer>;
  content: Buffer;
}

async function tree(
  guest: GuestAgent,
  of: string,
  records: Buffer[] = [],
): Promise<{ bytes: Buffer; count: bigint }> {
  const call = guest.call(METHOD.tree, Buffer.concat([record(0x40, of), ...records]));
  const { errno, answer } = await call.result;
  if (errno !== 0) throw new Error(answer.toString());
  return { bytes: Buffer.concat(call.output), count: answer.readBigUInt64BE(0) };
}

async function plant(
  guest: GuestAgent,
  at: string,
  entries: Buffer,
  records: Buffer[] = [],
): Promise<bigint> {
  const call = guest.call(METHOD.plant, Buffer.concat([record(0x40, at), ...records]));
  await call.input(entries);
  const { errno, answer } = await call.result;
  if (errno !== 0) throw new Error(answer.toString());
  return answer.readBigUInt64BE(0);
}

function parseEntries(bytes: Buffer): Entry[] {
  let at = 0;
  const take = (): Buffer => {
    const length = bytes.readUInt32BE(at);
    at += 4 + length;
    return bytes.subarray(at - length, at);
  };
  const entries: Entry[] = [];
  while (at < bytes.length) {
    const head = take();
    const records = new Map<number, Buffer>();
    for (let from = 0; from < head.length;) {
      const end = from + 8 + head.readUInt32BE(from + 4);
      records.set(head.readUInt16BE(from), head.subarray(from + 8, end));
      from = end;
    }
    const content: Buffer[] = [];
    const isFile = ((records.get(0x61)?.readUInt32BE(0) ?? 0) & 0o170000) === 0o100000;
    if (isFile && !records.has(0x63)) {
      for (let piece = take(); piece.length > 0; piece = take()) content.push(piece);
    }
    entries.push({ name: records.get(0x60) ?? Buffer.alloc(0), records, content: Buffer.concat(content) });
  }
  return entries;
}

function fileEntry(name: string, content: string): Buffer {
  const stat = Buffer.concat([u32(0o100644, 0, 0), u64(BigInt(content.length), 1n), u32(0, 0, 0)]);
  const head = Buffer.concat([record(0x60, name), record(0x61, stat)]);
  return Buffer.concat([u32(head.length), head, u32(content.length), Buffer.from(content), u32(0)]);
}

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
    assert.equal((await guest.call(METHOD.ping).result).errno, 0);
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

  test('a terminal that its process has closed hangs nobody up, and can be opened again', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const closing = 'exec </dev/null >/dev/null 2>&1; sleep 0.3; echo late >/dev/tty; sleep 0.3; exit 7';
    const call = guest.run(['sh', '-c', closing], { records: [record(0x25, u16(0, 0))] });
    assert.equal(await call.code(), 7);
    assert.equal(Buffer.concat(call.output).toString(), 'late\r\n');
  });

  test('a terminal beside the main process', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const call = guest.run(['sh', '-c', 'tty; exit 4'], { records: [record(0x25, u16(0, 0))] });
    assert.equal(await call.code(), 4);
    assert.equal(call.text, '/dev/pts/0\r\n');
    const early = guest.run(['cat'], { records: [record(0x25, u16(0, 0))] });
    await early.input(Buffer.from('early\n\u0004'), false);
    assert.equal(await early.code(), 0);
    assert.equal(early.text, 'early\r\nearly\r\n');
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
    const joined = await guest.sh('grep Groups: /proc/self/status', { user: 'jane' });
    assert.match(joined, /^Groups:\t29 1001 \n$/);
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
    assert.match(processes, /^\d+ 0 1 \d+ \d+ \d+ \d+ \d+ \d+ 0 [RSD] sleep\0sleep 1000\n$/);
    assert.equal((await guest.call(METHOD.signalAll, record(0x30, u32(9))).result).errno, 0);
    assert.equal(await main.code(), 137);
  });

  test('SUSPEND: nothing runs or is said until RESUME, and nothing is lost', async () => {
    await using guest = await GuestAgent.configured();
    assert.notEqual((await guest.call(METHOD.suspend).result).errno, 0);
    const main = guest.run(['sh', '-c', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done']);
    await main.until(({ output }) => output.length > 3);
    assert.notEqual((await guest.call(METHOD.resume).result).errno, 0);
    assert.equal((await guest.call(METHOD.suspend).result).errno, 0);
    const said = main.output.length;
    const stats = guest.call(METHOD.stats);
    // Its answer would come after all that was said before it.
    await guest.call(METHOD.ping).result;
    assert.equal(main.output.length, said);
    assert.notEqual((await guest.call(METHOD.suspend).result).errno, 0);
    assert.equal((await guest.call(METHOD.resume).result).errno, 0);
    assert.equal((await stats.result).errno, 0);
    await main.until(({ output }) => output.length > said + 3);
    const numbers = main.text.trimEnd().split('\n').map(Number);
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index),
    );
  });

  test('RESTORE: the main process is told anew, all other calls are forgotten', async () => {
    await using guest = await GuestAgent.configured();
    const main = guest.run(['sh', '-c', 'exec 2>&-; cat'], { records: [record(0x26)] });
    await main.until(({ ended }) => ended.has(2));
    await main.input(Buffer.from('before\n'), false);
    await main.until(({ text }) => text === 'before\n');
    const beside = guest.run(['sleep', '1000']);
    await beside.started.promise;
    assert.equal((await guest.call(METHOD.suspend).result).errno, 0);
    main.ended.clear();
    main.credit = 0;
    assert.equal((await guest.call(METHOD.restore).result).errno, 0);
    assert.equal(main.events.length, 1);
    assert.equal((await guest.call(METHOD.resume).result).errno, 0);
    await main.until(({ events, credit, ended }) => events.length === 2 && credit === 65_536 && ended.has(2));
    await main.input(Buffer.from('after\n'));
    assert.equal(await main.code(), 0);
    assert.equal(main.text, 'before\nafter\n');
    assert.ok(!beside.ended.has(-1));
  });

  test('EVENTS tell of those who listen', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const events = guest.call(METHOD.events, record(0x50));
    await events.until((call) => call.events.length > 0);
    const server = guest.run(['nc', '-l', '-p', '8080']);
    await events.until((call) => call.events.length > 1);
    // What there is at first is told, too: nothing.
    assert.equal(events.events[0]?.payload.toString(), '');
    assert.match(events.events[1]?.payload.toString() ?? '', /^tcp (0\.0\.0\.0|::) 8080\n$/);
    server.send(FRAME.cancel);
    assert.equal(await server.code(), 137);
    await events.until((call) => call.events.at(-1)?.payload.length === 0);
    events.send(FRAME.cancel);
    assert.equal((await events.result).errno, 125);
  });

  test('TREE tells a tree as it is, and PLANT makes the same', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    await guest.sh(
      String.raw`mkdir -p /src/b/c /src/a; cd /src; echo one > a/file; ln a/file b/hard; ln -s ../../a/file b/c/link;
      mknod b/null c 1 3; mknod fifo p; chown 1000:1001 a/file; chmod 4751 a/file; touch -d '2001-02-03 04:05:06' b;
      : > "$(printf 'not\377utf8')"; dd if=/dev/zero of=hole bs=1 count=1 seek=300000 2>/dev/null; chmod 1777 a`,
    );
    const { bytes, count } = await tree(guest, '/src', [record(0x41)]);
    const entries = parseEntries(bytes);
    assert.deepEqual(
      entries.map(({ name }) => name.toString('latin1')),
      ['.', 'a', 'a/file', 'b', 'b/c', 'b/c/link', 'b/hard', 'b/null', 'fifo', 'hole', 'not\xffutf8'],
    );
    assert.equal(count, 11n);
    assert.equal(
      entries
        .find(({ name }) => name.toString() === 'b/hard')
        ?.records.get(0x63)
        ?.toString(),
      'a/file',
    );
    assert.equal(entries.find(({ name }) => name.toString() === 'hole')?.content.length, 300_001);

    await guest.sh('mkdir -p /copy/a/in-the-way /copy/fifo/full; echo > /copy/b');
    assert.equal(await plant(guest, '/copy', bytes), 11n);
    const again = await tree(guest, '/copy', [record(0x41)]);
    const kept = parseEntries(again.bytes).filter(({ name }) => name.toString() !== 'a/in-the-way');
    assert.deepEqual(kept, entries);
    assert.equal(
      await guest.sh('cd /copy; ls a; [ a/file -ef b/hard ] && cat b/c/link'),
      'file\nin-the-way\none\n',
    );
  });

  test('TREE of one entry, with its data or bare, follows a link only when told to', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    await guest.sh('echo one > /file; ln -s /file /tmp/link');
    const [alone] = parseEntries((await tree(guest, '/tmp/link')).bytes);
    assert.equal(alone?.records.get(0x62)?.toString(), '/file');
    const [followed] = parseEntries((await tree(guest, '/tmp/link', [record(0x42)])).bytes);
    assert.equal(followed?.records.get(0x61)?.readBigUInt64BE(12), 4n);
    assert.equal(followed?.content.toString(), 'one\n');
    const bare = await tree(guest, '/file', [record(0x44)]);
    assert.equal(bare.bytes.length, 4 + bare.bytes.readUInt32BE(0));
    await assert.rejects(tree(guest, '/nonesuch'), /No such file or directory/);
  });

  test('TREE of the writable layer has its whiteouts, opaque directories and extended attributes', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    await guest.sh('rm /etc/passwd; rm -r /masked; mkdir /masked', { env: ['PATH=/bin'] });
    const { bytes } = await tree(guest, '/', [record(0x41), record(0x43)]);
    const entries = new Map(parseEntries(bytes).map((entry) => [entry.name.toString(), entry]));
    const whiteout = entries.get('etc/passwd')?.records.get(0x61);
    assert.equal(whiteout?.readUInt32BE(0), 0o020000);
    assert.equal(whiteout?.readUInt32BE(32), 0);
    assert.equal(entries.get('masked')?.records.get(0x64)?.toString(), 'trusted.overlay.opaque\0y');
    // The same in an empty directory of it is a layer as well.
    const merged = parseEntries((await tree(guest, '/', [record(0x41)])).bytes);
    assert.ok(!merged.some(({ name }) => name.toString() === 'etc/passwd'));
    assert.ok(merged.some(({ records }) => records.get(0x61)?.readUInt32BE(0) === 0o040755));
  });

  test('TREE and PLANT see what is mounted in the container, or are told not to', async () => {
    await using guest = await GuestAgent.configured([
      record(0x0d, texts('/volume', 'tmpfs', 'tmpfs', 'mode=755')),
    ]);
    const main = await guest.runIdle();
    await guest.sh('echo one > /volume/file');
    const names = async (records: Buffer[]): Promise<string[]> =>
      parseEntries((await tree(guest, '/', [record(0x41), ...records])).bytes).map(({ name }) =>
        name.toString(),
      );
    const seen = await names([]);
    assert.ok(seen.includes('volume/file'));
    assert.ok(seen.includes('proc') && !seen.some((name) => name.startsWith('proc/')));
    const unmounted = await names([record(0x46)]);
    assert.ok(unmounted.includes('volume') && !unmounted.includes('volume/file'));
    await plant(guest, '/volume', fileEntry('planted', 'there'));
    assert.equal(await guest.sh('cat /volume/planted'), 'there');
    await assert.rejects(
      plant(guest, '/', fileEntry('etc', ''), [record(0x45)]),
      /cannot overwrite directory `etc`/,
    );
    main.send(FRAME.cancel);
    assert.equal(await main.code(), 137);
  });

  test('PLANT never leaves the root filesystem', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    await guest.sh('mkdir /in; ln -s / /in/absolute; ln -s ../../../../.. /in/up');
    for (const name of ['../x', '/x', 'a/../../x', 'a//b', '', '..']) {
      await assert.rejects(plant(guest, '/in', fileEntry(name, 'bad')), /is no name of an entry/, name);
    }
    const where = path.join(guest.directory, 'escaped');
    for (const link of ['absolute', 'up']) {
      await plant(guest, '/in', fileEntry(`${link}${where}`, link));
      assert.equal(existsSync(where), false);
      assert.equal(await guest.sh(`cat ${where}`), link);
    }
    // A link that is in the way itself is replaced, and not followed.
    await plant(guest, '/in', fileEntry('up', 'file'));
    assert.equal(await guest.sh('cat /in/up'), 'file');
  });

  test('PLANT says what is wrong with entries that are cut off or malformed, and CANCEL ends it', async () => {
    await using guest = await GuestAgent.configured();
    await guest.runIdle();
    const entry = fileEntry('x', 'content');
    await assert.rejects(plant(guest, '/', entry.subarray(0, -6)), /cut off/);
    await assert.rejects(plant(guest, '/', u32(0x7fffffff)), /an entry of/);
    await assert.rejects(plant(guest, '/', Buffer.concat([u32(8), record(0x99)])), /malformed/);
    const call = guest.call(METHOD.plant, record(0x40, '/'));
    call.send(FRAME.data, Buffer.concat([Buffer.of(0), entry.subarray(0, 9)]));
    call.send(FRAME.cancel);
    assert.equal((await call.result).errno, 125);
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
