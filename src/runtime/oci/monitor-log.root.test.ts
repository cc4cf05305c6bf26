import assert from 'node:assert/strict';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { after, suite, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { mountTmpfs, unmount } from '#/host/mounts.ts';
import { run } from '#/host/process.ts';
import type { LogTarget, SyslogDestination, SyslogTarget } from '#/runtime/runtime.ts';

import { datagramReceiver, type Receiver, streamReceiver, udpReceiver } from './log-receivers.ts';
import { monitorOf } from './monitor-of.ts';
import { MonitoredProcess } from './monitored-process.ts';

const MONITOR = path.join(import.meta.dirname, '../../../dist/hull-monitor');

/** Where hull-monitor sends and keeps output; a shell stands in for the OCI runtime. */
suite('logs of hull-monitor', { skip: process.getuid?.() !== 0 }, async () => {
  const { code } = await run(path.join(import.meta.dirname, '../monitor/build.sh'), [], {
    timeoutMs: 60_000,
  });
  assert.equal(code, 0);
  const root = mkdtempSync(path.join(tmpdir(), 'hl-'));
  let count = 0;
  let dropped = 0;
  after(() => rmSync(root, { recursive: true, force: true }));
  const place = (): string => path.join(root, String(count++));

  async function launch(script: string, log: LogTarget): Promise<MonitoredProcess> {
    const directory = place();
    mkdirSync(directory);
    const monitored = new MonitoredProcess(
      directory,
      { stdin: false },
      { monitorLost() {}, oomKilled: () => false, logDropped: (records) => (dropped += records) },
    );
    monitored.launch({
      monitor: MONITOR,
      directory,
      io: { terminal: false, stdin: false, log },
      // A shell waits for what it has started, if that ends first: then nobody would tell the monitor of it.
      runtime: ['sh', '-c', `sh -c 'sleep 0.1; ${script}' & echo $! > ${directory}/pid`],
    });
    return monitored;
  }

  async function finish(script: string, log: LogTarget): Promise<void> {
    const task = await launch(script, log);
    await task.start();
    await task.exited;
  }

  const syslog = (destination: SyslogDestination, more: Partial<SyslogTarget> = {}): LogTarget => ({
    syslog: { destination, facility: 3, format: '', tag: 'tagged', ...more },
  });

  async function until(what: () => boolean): Promise<void> {
    for (let tries = 0; !what() && tries < 500; tries++) await sleep(10);
  }

  const bodies = (messages: readonly string[]): string[] =>
    messages.map((message) => message.replace(/^.*?\]: /s, '').trimEnd());
  const numbered = (from: number, to: number): string[] =>
    Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
  const assertRising = (numbers: readonly string[]): void =>
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].toSorted((a, b) => Number(a) - Number(b)),
    );
  const counting = (to: number): string => `i=1; while [ $i -le ${to} ]; do echo $i; i=$((i+1)); done`;

  const formats: [SyslogTarget['format'], RegExp][] = [
    ['', /^<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d tagged\[\d+\]: out$/],
    [
      'rfc3164',
      new RegExp(`^<30>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d ${hostname()} tagged\\[\\d+\\]: out$`),
    ],
    [
      'rfc5424',
      new RegExp(
        `^<30>1 \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(Z|[+-]\\d\\d:\\d\\d) ${hostname()} tagged \\d+ tagged - out$`,
      ),
    ],
    [
      'rfc5424micro',
      new RegExp(
        `^<30>1 \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}(Z|[+-]\\d\\d:\\d\\d) ${hostname()} tagged \\d+ tagged - out$`,
      ),
    ],
  ];
  for (const [format, pattern] of formats) {
    test(`syslog messages in the format "${format}"`, async () => {
      await using receiver = await udpReceiver();
      const destination = { transport: 'udp', address: `127.0.0.1:${receiver.address}` } as const;
      await finish('echo out; sleep 0.5; echo err >&2; echo', syslog(destination, { format, facility: 3 }));
      await until(() => receiver.received.length >= 2);
      const [out = '', err = '', ...others] = receiver.received;
      assert.match(out.trimEnd(), pattern);
      assert.ok(out.endsWith('\n'));
      assert.match(err, /^<27>/);
      // An empty line is no message, as in Docker.
      assert.deepEqual(others, []);
    });
  }

  const streams: [number, string, () => Promise<Receiver>, (address: string) => SyslogDestination][] = [
    [20_000, 'tcp', () => streamReceiver(0), (port) => ({ transport: 'tcp', address: `127.0.0.1:${port}` })],
    [20_000, 'unix', () => streamReceiver(place()), (address) => ({ transport: 'unix', address })],
    [20_000, 'local', () => streamReceiver(place()), (address) => ({ transport: 'local', address })],
    [
      500,
      'unixgram',
      async () => datagramReceiver(place()),
      (address) => ({ transport: 'unixgram', address }),
    ],
    [500, 'local', async () => datagramReceiver(place()), (address) => ({ transport: 'local', address })],
  ];
  for (const [lines, name, open, destination] of streams) {
    test(`${lines} lines over ${name} arrive, all and in order`, async () => {
      await using receiver = await open();
      await finish(counting(lines), syslog(destination(receiver.address)));
      await until(() => receiver.received.length >= lines);
      assert.deepEqual(bodies(receiver.received), numbered(1, lines));
    });
  }

  test('a line longer than 16 KiB is sent in parts', async () => {
    await using receiver = await streamReceiver(0);
    const destination = { transport: 'tcp', address: `127.0.0.1:${receiver.address}` } as const;
    await finish('head -c 40000 /dev/zero | tr "\\0" x; echo; echo end', syslog(destination));
    await until(() => receiver.received.length >= 4);
    assert.deepEqual(
      bodies(receiver.received).map((body) => body.length),
      [16_384, 16_384, 40_000 - 32_768, 3],
    );
  });

  test('a process whose syslog server refuses the connection is not run', async () => {
    const port = await freePort();
    const marker = place();
    const task = await launch(`touch ${marker}`, syslog({ transport: 'tcp', address: `127.0.0.1:${port}` }));
    await assert.rejects(task.start(), {
      message: `failed to initialize logging driver: dial tcp 127.0.0.1:${port}: connect: connection refused`,
    });
    assert.equal((await task.exited).code, 128);
    assert.ok(!existsSync(marker));
  });

  test('what a slow server has not taken yet at the end is still sent', async () => {
    const address = place();
    await using slow = datagramReceiver(address, 100);
    await finish(counting(150), syslog({ transport: 'unixgram', address }));
    await until(() => slow.received.length >= 150);
    assert.deepEqual(bodies(slow.received), numbered(1, 150));
  });

  test('what is written while the server is away for a moment is sent when it is back', async () => {
    const first = await streamReceiver(0);
    const port = Number(first.address);
    const task = await launch(
      'i=1; while [ $i -le 30 ]; do echo $i; i=$((i+1)); sleep 0.05; done',
      syslog({ transport: 'tcp', address: `127.0.0.1:${port}` }),
    );
    await task.start();
    await until(() => first.received.length >= 5);
    await first[Symbol.asyncDispose]();
    await sleep(300);
    await using second = await streamReceiver(port);
    await task.exited;
    await until(() => second.received.at(-1)?.endsWith(': 30') === true);
    const all = bodies([...first.received, ...second.received]);
    assert.deepEqual(all, numbered(1, 30));
  });

  test('a server that is away for ever stops nothing, and the end comes at once', async () => {
    const first = await streamReceiver(0);
    const task = await launch(
      `sleep 0.2; ${counting(50_000)}`,
      syslog({ transport: 'tcp', address: `127.0.0.1:${first.address}` }),
    );
    await task.start();
    await first[Symbol.asyncDispose]();
    dropped = 0;
    assert.equal((await task.exited).code, 0);
    // All of it, but for what the connection took while it broke.
    assert.ok(dropped > 49_900 && dropped <= 50_000, `${dropped}`);
  });

  suite('over TLS', async () => {
    const { authority, server, client } = await makeCertificates(root);
    const secure = { ...server, ca: client.ca, requestCert: true, rejectUnauthorized: true };
    const destination = (port: string, more = {}): SyslogDestination => ({
      transport: 'tls',
      host: 'localhost',
      port,
      authorities: authority,
      certificate: client.certificate,
      key: client.key,
      verify: true,
      ...more,
    });

    for (const format of ['', 'rfc5424'] as const) {
      test(`5000 lines in the format "${format}" arrive, all and in order`, async () => {
        await using receiver = await streamReceiver(0, secure);
        await finish(counting(5000), syslog(destination(receiver.address), { format }));
        await until(() => receiver.received.length >= 5000);
        const seen = receiver.received.map((line) => line.replace(/^.*?(\]: | - )/, ''));
        assert.deepEqual(seen, numbered(1, 5000));
        if (format === '') return;
        // RFC 5425: each message is preceded by its length, the newline included.
        for (const line of receiver.received) {
          const [, length, message] = /^(\d+) (.*)$/.exec(line) ?? [];
          assert.equal(Number(length), Buffer.byteLength(`${message}\n`));
        }
      });
    }

    test('what is written while the server is away for a moment is sent when it is back', async () => {
      const first = await streamReceiver(0, secure);
      const port = Number(first.address);
      const task = await launch(
        'i=1; while [ $i -le 30 ]; do echo $i; i=$((i+1)); sleep 0.05; done',
        syslog(destination(first.address)),
      );
      await task.start();
      await until(() => first.received.length >= 5);
      await first[Symbol.asyncDispose]();
      await sleep(200);
      await using second = await streamReceiver(port, secure);
      await task.exited;
      await until(() => second.received.at(-1)?.endsWith(': 30') === true);
      // One may be under way when the connection breaks, which nobody acknowledges.
      const all = bodies([...first.received, ...second.received]).map(Number);
      assert.ok(all.length >= 29, all.join());
      assert.deepEqual(
        all,
        all.toSorted((a, b) => a - b),
      );
    });

    const refusals: [string, object, RegExp][] = [
      ['an unknown authority', { authorities: undefined }, /certificate signed by unknown authority/],
      ['another name', { host: '127.0.0.1' }, /certificate is not valid for 127.0.0.1/],
      ['no one on the port', { port: '1' }, /dial tcp localhost:1: connect: connection refused/],
      ['no such name', { host: 'nosuch.invalid' }, /dial tcp: lookup nosuch.invalid: no such host/],
    ];
    for (const [what, change, message] of refusals) {
      test(`${what}: the process is not run`, async () => {
        await using receiver = await streamReceiver(0, secure);
        const task = await launch('true', syslog(destination(receiver.address, change)));
        await assert.rejects(task.start(), message);
        await task.exited;
      });
    }

    test('without verification an unknown authority will do', async () => {
      await using receiver = await streamReceiver(0, secure);
      const unverified = destination(receiver.address, { authorities: undefined, verify: false });
      await finish('echo one', syslog(unverified));
      await until(() => receiver.received.length === 1);
      assert.deepEqual(bodies(receiver.received), ['one']);
    });

    test('the process that does it is small, and ends with the monitor', async () => {
      await using receiver = await streamReceiver(0, secure);
      const task = await launch('echo one; exec sleep 60', syslog(destination(receiver.address)));
      await task.start();
      await until(() => receiver.received.length === 1);
      const monitor = await monitorOf(task);
      const children = readFileSync(`/proc/${monitor}/task/${monitor}/children`, 'utf8').trim().split(' ');
      const relay = children.map(Number).find((pid) => pid !== task.pid) ?? 0;
      assert.match(readFileSync(`/proc/${relay}/cmdline`, 'utf8'), /hull-tls/);
      const pss = pssOf(relay);
      assert.ok(pss < 6000, `${pss}`);
      process.kill(task.pid, 9);
      await task.exited;
      await until(() => !existsSync(`/proc/${relay}`));
      assert.ok(!existsSync(`/proc/${relay}`));
    });
  });

  test('a file and a server at once: the file has all of it too', async () => {
    await using receiver = await udpReceiver();
    const file = place();
    await finish('echo one; echo two >&2', {
      file: { path: file },
      ...syslog({ transport: 'udp', address: `127.0.0.1:${receiver.address}` }),
    });
    await until(() => receiver.received.length >= 2);
    assert.equal(receiver.received.length, 2);
    assert.equal(readFileSync(file, 'utf8').trim().split('\n').length, 2);
  });

  test('rotated files are compressed', async () => {
    const file = place();
    await finish(counting(3000), { file: { path: file, maxSize: 50_000, maxFiles: 50, compress: true } });
    const texts: string[] = [readFileSync(file, 'utf8')];
    for (let number = 1; existsSync(`${file}.${number}.gz`); number++) {
      assert.ok(!existsSync(`${file}.${number}`));
      texts.unshift(gunzipSync(readFileSync(`${file}.${number}.gz`)).toString());
    }
    assert.ok(texts.length > 1);
    const lines = texts.join('').trim().split('\n');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { log: string }).log.trim()),
      numbered(1, 3000),
    );
  });

  test('a log that is rotated is there all the time', async () => {
    const file = place();
    writeFileSync(file, '');
    const log: LogTarget = {
      file: { path: file, maxSize: 1000, maxFiles: 3, compress: true },
    };
    const finished = finish(counting(3000), log).then(() => true);
    let missing = 0;
    while (!(await Promise.race([finished, nextTurn(false)]))) {
      for (let looks = 0; looks < 1000; looks++) if (!existsSync(file)) missing++;
    }
    assert.equal(missing, 0);
    assert.ok(existsSync(`${file}.2.gz`));
    assert.ok(!existsSync(`${file}.next`));
  });

  test('a record that was cut off spoils none that follows', async () => {
    const file = place();
    writeFileSync(file, '{"log":"whole\\n"}\n{"log":"cut');
    await finish('echo next', { file: { path: file } });
    const [whole, cut, next, ...others] = readFileSync(file, 'utf8').trim().split('\n');
    assert.deepEqual([whole, cut, others], ['{"log":"whole\\n"}', '{"log":"cut', []]);
    assert.match(next ?? '', /^\{"log":"next\\n"/);
  });

  test('without blocking the file is written by another process, whole and in order', async () => {
    const file = place();
    await finish(counting(20_000), {
      file: { path: file, maxSize: 100_000, maxFiles: 100, compress: true },
      buffer: 64 << 20,
    });
    const texts = [readFileSync(file, 'utf8')];
    for (let number = 1; existsSync(`${file}.${number}.gz`); number++) {
      texts.unshift(gunzipSync(readFileSync(`${file}.${number}.gz`)).toString());
    }
    const lines = texts.join('').trim().split('\n');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { log: string }).log.trim()),
      numbered(1, 20_000),
    );
  });

  test('without blocking a disk that hangs stops nothing', async () => {
    // In memory: a busy disk takes its time to freeze.
    const memory = place();
    mkdirSync(memory);
    mountTmpfs(memory, { size: 32 << 20 });
    const [image, disk] = [path.join(memory, 'image'), place()];
    mkdirSync(disk);
    const command = async (...[program = '', ...args]: string[]): Promise<void> => {
      const result = await run(program, args, { timeoutMs: 30_000 });
      assert.equal(result.code, 0, result.stderr.toString());
    };
    await command('truncate', '-s', '16M', image);
    await command('mkfs.ext4', '-q', image);
    await command('mount', '-o', 'loop', image, disk);
    const flag = place();
    try {
      const file = path.join(disk, 'log');
      const task = await launch(`echo 1; while [ ! -e ${flag} ]; do sleep 0.02; done; ${counting(20_000)}`, {
        file: { path: file },
        buffer: 10_000,
      });
      await task.start();
      await until(() => existsSync(file) && readFileSync(file).length > 0);
      await command('fsfreeze', '--freeze', disk);
      writeFileSync(flag, '');
      const { pid } = task;
      try {
        await until(() => !existsSync(`/proc/${pid}`));
        assert.ok(!existsSync(`/proc/${pid}`), 'the process waits for the disk');
      } finally {
        await command('fsfreeze', '--unfreeze', disk);
      }
      await task.exited;
      await until(() => readFileSync(file, 'utf8').split('\n').length > 100);
      const lines = readFileSync(file, 'utf8').trim().split('\n');
      const seen = lines.map((line) => (JSON.parse(line) as { log: string }).log.trim());
      // There are gaps wherever the buffer was full at the moment, and none of the first of all.
      assert.deepEqual(seen.slice(0, 100), ['1', ...numbered(1, 99)]);
      assertRising(seen.slice(1));
      assert.ok(seen.length < 20_000, `${seen.length}`);
    } finally {
      writeFileSync(flag, '');
      await until(() => writersOf(disk) === 0);
      await command('umount', disk);
      unmount(memory);
    }
  });

  test('without blocking a reader that does not read stops nothing, and loses the newest', async () => {
    const address = place();
    // Bound, and never read: ten datagrams and its socket is full.
    await using deaf = datagramReceiver(address);
    const task = await launch(counting(20_000), {
      ...syslog({ transport: 'unixgram', address }),
      buffer: 4096,
    });
    const before = deaf.received.length;
    await task.start();
    // Nobody looks for datagrams while this thread is busy.
    const end = Date.now() + 10_000;
    while (Date.now() < end && existsSync(`/proc/${task.pid}`)) continue;
    assert.ok(!existsSync(`/proc/${task.pid}`), 'the process waits for its log');
    await task.exited;
    await sleep(50);
    const seen = bodies(deaf.received.slice(before));
    assert.ok(seen.length < 1000, `${seen.length}`);
    assertRising(seen);
  });

  test('blocking, the process waits for whoever reads slowly', async () => {
    const address = place();
    await using slow = datagramReceiver(address);
    const task = await launch(counting(300), syslog({ transport: 'unixgram', address }));
    await task.start();
    const end = Date.now() + 500;
    while (Date.now() < end) continue;
    await task.exited;
    await until(() => slow.received.length >= 300);
    assert.deepEqual(bodies(slow.received), numbered(1, 300));
  });

  test('the journal gets every field, also what is longer than a datagram', async () => {
    const address = place();
    await using receiver = datagramReceiver(address);
    const fields = { CONTAINER_NAME: 'web', LABEL: 'two\nlines', IMAGE_NAME: 'i' };
    await finish('echo out; sleep 0.3; echo err >&2; sleep 0.3; head -c 20000 /dev/zero | tr "\\0" x; echo', {
      journal: { socket: address, fields },
    });
    await until(() => receiver.received.length >= 4);
    const [out = '', err = '', part = '', last = ''] = receiver.received;
    assert.match(
      out,
      /^CONTAINER_NAME=web\nLABEL\n\t\0{7}two\nlines\nIMAGE_NAME=i\nMESSAGE=out\nPRIORITY=6\n/,
    );
    assert.match(out, /\nSYSLOG_TIMESTAMP=\d{4}-\S+Z\nCONTAINER_LOG_ORDINAL=1\n$/);
    assert.match(err, /\nMESSAGE=err\nPRIORITY=3\n[^]*\nCONTAINER_LOG_ORDINAL=2\n$/);
    const id = /CONTAINER_PARTIAL_ID=([0-9a-f]{64})\n/.exec(part)?.[1];
    assert.match(
      part,
      /CONTAINER_PARTIAL_ORDINAL=1\nCONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n$/,
    );
    assert.match(
      last,
      new RegExp(`CONTAINER_PARTIAL_ID=${id}\nCONTAINER_PARTIAL_ORDINAL=2\nCONTAINER_PARTIAL_LAST=true\n$`),
    );
    assert.equal(/MESSAGE=(x+)\n/.exec(last)?.[1]?.length, 20_000 - 16_384);
  });

  test('monitors of quiet processes stay small, whatever they send to', async () => {
    await using receiver = datagramReceiver(place());
    const socket = receiver.address;
    const targets: LogTarget[] = [
      { file: { path: place() } },
      { file: { path: place() }, ...syslog({ transport: 'unixgram', address: socket }) },
      { file: { path: place() }, journal: { socket, fields: { CONTAINER_ID: 'x' } } },
    ];
    for (const log of targets) {
      const task = await launch('echo hello; exec sleep 60', log);
      await task.start();
      await sleep(50);
      const pss = pssOf(await monitorOf(task));
      process.kill(task.pid, 9);
      await task.exited;
      assert.ok(pss < 300, `${pss}`);
    }
  });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<string> {
  await using taken = await streamReceiver(0);
  return taken.address;
}

/** How many monitors still have something open there. */
function writersOf(directory: string): number {
  const open = globSync('/proc/[0-9]*/fd/*').filter((file) => {
    try {
      return readlinkSync(file).startsWith(`${directory}/`);
    } catch {
      return false;
    }
  });
  return open.length;
}

/** KiB of memory, shared pages by their share. */
function pssOf(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
}

/** An authority, and a certificate of its for a server called "localhost" and one for a client. */
async function makeCertificates(directory: string): Promise<{
  authority: string;
  server: { key: Buffer; cert: Buffer };
  client: { certificate: string; key: string; ca: Buffer };
}> {
  const at = (name: string): string => path.join(directory, name);
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await run('openssl', args, { timeoutMs: 30_000 });
    assert.equal(code, 0, stderr.toString());
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl('req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca'), '-subj', '/CN=test');
  for (const name of ['server', 'client']) {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const signed = ['-CA', at('ca'), '-CAkey', at('ca.key')];
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(name),
      ...subject,
      ...signed,
    );
  }
  return {
    authority: at('ca'),
    server: { key: readFileSync(at('server.key')), cert: readFileSync(at('server')) },
    client: { certificate: at('client'), key: at('client.key'), ca: readFileSync(at('ca')) },
  };
}
