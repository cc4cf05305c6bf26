import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, suite, test } from 'node:test';

import { mountTmpfs, unmount } from '#/host/mounts.ts';
import { identify } from '#/host/process-identity.ts';
import { run } from '#/host/process.ts';
import type { TaskIo } from '#/runtime/runtime.ts';

import { readExitRecord } from './exit-record.ts';
import { encodeFrame, FRAME } from './frames.ts';
import { monitorOf } from './monitor-of.ts';
import { MonitoredProcess } from './monitored-process.ts';

const MONITOR = path.join(import.meta.dirname, '../../../dist/hull-monitor');
const LINE = 16 * 1024;

/** hull-monitor by itself: a shell stands in for the OCI runtime, which only has to leave a process behind and tell its pid. */
suite('hull-monitor', { skip: process.getuid?.() !== 0 }, async () => {
  const { code } = await run(path.join(import.meta.dirname, '../monitor/build.sh'), [], {
    timeoutMs: 60_000,
  });
  assert.equal(code, 0);
  const root = mkdtempSync(path.join(tmpdir(), 'hm-'));
  let count = 0;
  after(() => rmSync(root, { recursive: true, force: true }));

  async function launch(
    script: string,
    io: Partial<TaskIo> = {},
  ): Promise<MonitoredProcess & { log: string }> {
    const directory = path.join(root, String(count++));
    mkdirSync(directory);
    const log = path.join(directory, 'json.log');
    const monitored = new MonitoredProcess(
      directory,
      { stdin: io.stdin ?? false },
      { monitorLost() {}, oomKilled: () => false },
    );
    monitored.launch({
      monitor: MONITOR,
      directory,
      io: { terminal: false, stdin: false, log: { file: { path: log } }, ...io },
      runtime: ['sh', '-c', `exec 5<&0; sh -c '${script}' <&5 5<&- & echo $! > ${directory}/pid`],
    });
    return Object.assign(monitored, { log });
  }

  const memoryOf = (pid: number): number => {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1]) * 1024;
  };

  test('the log says what the json-file driver would, whatever the bytes', async () => {
    const lines: Buffer[] = [];
    for (let i = 0; i < 300; i++) lines.push(randomBytes((i * 7) % 400), Buffer.from('\n'));
    for (const length of [LINE - 1, LINE, LINE + 1, 2 * LINE, 3 * LINE + 5]) {
      lines.push(Buffer.alloc(length, 'x'), Buffer.from('\n'));
    }
    lines.push(
      Buffer.from('<&>"\\\t\r\u007f\u2028 é € 😀 \n'),
      Buffer.from([0xed, 0xa0, 0x80, 0xc0, 0x80, 0xf4, 0x90]),
    );
    lines.push(Buffer.from('no newline at the end'));
    const input = Buffer.concat(lines);
    const task = await launch('exec cat', { stdin: true });
    using attachment = await task.attach({ stdin: true, output: true });
    attachment.stderr.resume();
    const echoed = attachment.stdout.toArray();
    await task.start();
    attachment.stdin?.end(input);
    await task.exited;
    assert.deepEqual(Buffer.concat(await echoed), input);
    const written = readFileSync(task.log, 'utf8').split('\n').filter(Boolean);
    const expected = expectedLog(input);
    assert.equal(written.length, expected.length);
    for (const [i, line] of written.entries()) {
      const time = /"time":"([^"]+)"\}$/.exec(line)?.[1] ?? '';
      assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/);
      assert.equal(line, `{"log":"${expected[i]}","stream":"stdout","time":"${time}"}`);
    }
  });

  test('rotation keeps so many files of that size, with every line in one of them', async () => {
    const task = await launch('i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done', {
      log: {
        file: {
          path: path.join(root, 'rotated.log'),
          maxSize: 10_000,
          maxFiles: 3,
          attributes: { tag: 'a b' },
        },
      },
    });
    await task.start();
    await task.exited;
    const files = ['rotated.log.2', 'rotated.log.1', 'rotated.log'].map((name) => path.join(root, name));
    assert.ok(!existsSync(path.join(root, 'rotated.log.3')));
    const logged = files.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean));
    assert.match(logged[0] ?? '', /","stream":"stdout","attrs":\{"tag":"a b"\},"time":"/);
    const numbers = logged.map((line) =>
      Number(/line (\d+)/.exec((JSON.parse(line) as { log: string }).log)?.[1]),
    );
    assert.equal(numbers.at(-1), 1999);
    for (const [i, number] of numbers.entries()) assert.equal(number, (numbers[0] ?? 0) + i);
    for (const file of files.slice(0, 2)) {
      // Docker looks at the size before it writes, so a file ends with the record that crosses the limit.
      assert.ok(statSync(file).size >= 10_000 && statSync(file).size < 10_200, `${statSync(file).size}`);
    }
  });

  test('100 MB reach a slow reader whole while the monitor stays small', async () => {
    const size = 100 << 20;
    const task = await launch(`head -c ${size} /dev/zero`, { log: undefined });
    using attachment = await task.attach({ stdin: false, output: true });
    attachment.stderr.resume();
    await task.start();
    const monitor = await monitorOf(task);
    await sleep(100);
    // Nobody reads yet: the process waits.
    assert.ok(task.running);
    let seen = 0;
    let most = 0;
    let pieces = 0;
    for await (const chunk of attachment.stdout) {
      seen += (chunk as Buffer).length;
      if (++pieces % 200 === 0) {
        most = Math.max(most, memoryOf(monitor));
        await sleep(1);
      }
    }
    assert.equal(seen, size);
    assert.ok(most > 0 && most < 1 << 20, `${most}`);
    assert.equal((await task.exited).code, 0);
  });

  test('a client that does not read stops the output, one that is gone does not', async () => {
    const task = await launch(
      'i=0; while [ $i -lt 100 ]; do head -c 65536 /dev/zero; i=$((i+1)); done; echo',
      {
        log: undefined,
      },
    );
    const lazy = await task.attach({ stdin: false, output: true });
    using eager = await task.attach({ stdin: false, output: true });
    eager.stderr.resume();
    let seen = 0;
    eager.stdout.on('data', (chunk: Buffer) => (seen += chunk.length));
    const end = once(eager.stdout, 'end');
    await task.start();
    await sleep(300);
    assert.ok(seen > 0 && seen < 3 << 20, `${seen}`);
    assert.ok(task.running);
    lazy[Symbol.dispose]();
    await task.exited;
    await end;
    assert.equal(seen, 100 * 65536 + 1);
  });

  test('a slow client does not hold up the end, and still gets everything', async () => {
    const task = await launch('head -c 300000 /dev/zero; head -c 50000 /dev/zero >&2', { log: undefined });
    using slow = await task.attach({ stdin: false, output: true });
    await task.start();
    const sizes = (async () => {
      // Longer than the 2 s that the monitor waits for output after the end.
      await sleep(2500);
      const [out, err] = await Promise.all([slow.stdout.toArray(), slow.stderr.toArray()]);
      return [Buffer.concat(out).length, Buffer.concat(err).length];
    })();
    await sleep(50);
    assert.deepEqual(await sizes, [300_000, 50_000]);
    assert.equal((await task.exited).code, 0);
  });

  test('other processes that keep the pipes open delay the end by a moment alone', async () => {
    const task = await launch(`sleep 30 & echo $! > ${root}/sleeper; echo done`);
    await task.start();
    const started = Date.now();
    assert.equal((await task.exited).code, 0);
    const took = Date.now() - started;
    // Not by the 30 s that the other one runs.
    assert.ok(took > 1000 && took < 20_000, `${took}`);
    assert.match(readFileSync(task.log, 'utf8'), /"log":"done\\n"/);
    process.kill(Number(readFileSync(path.join(root, 'sleeper'), 'utf8')), 9);
  });

  test('losing every client while it runs loses nothing', async () => {
    const task = await launch('i=0; while [ $i -lt 50 ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 4');
    const attachment = await task.attach({ stdin: false, output: true });
    attachment.stdout.resume();
    attachment.stderr.resume();
    await task.start();
    const monitor = identify(await monitorOf(task));
    assert.ok(monitor);
    attachment[Symbol.dispose]();
    // What a killed engine leaves: no connection at all.
    task.abandon();
    for (let i = 0; i < 500 && readExitRecord(task.directory) === undefined; i++) await sleep(10);
    assert.equal(readExitRecord(task.directory)?.code, 4);
    assert.equal(readFileSync(task.log, 'utf8').trim().split('\n').length, 50);
    for (let i = 0; i < 100 && identify(monitor.pid); i++) await sleep(10);
    assert.equal(identify(monitor.pid), undefined);
  });

  test('garbage on the socket ends its connection and nothing else', async () => {
    const task = await launch('read x; echo "$x"', { stdin: true });
    await task.start();
    const socket = path.join(task.directory, 'sock');
    const garbage = [
      ...Array.from({ length: 60 }, (_, i) => randomBytes(1 + i * 37)),
      encodeFrame(FRAME.stdin, Buffer.from('not asked for')),
      encodeFrame(FRAME.attach),
      encodeFrame(FRAME.resize, Buffer.alloc(16)),
      Buffer.concat([
        encodeFrame(FRAME.attach, Buffer.from([0xff])),
        Buffer.from([FRAME.attach, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      ]),
    ];
    for (const bytes of garbage) {
      const client = createConnection(socket);
      client.on('error', () => {});
      client.resume();
      client.end(bytes);
      await once(client, 'close');
    }
    assert.ok(task.running);
    using attachment = await task.attach({ stdin: true, output: true });
    attachment.stderr.resume();
    const all = text(attachment.stdout);
    attachment.stdin?.write('still here\n');
    assert.equal(await all, 'still here\n');
  });

  test('stdin larger than any buffer waits for a slow process', async () => {
    const task = await launch('sleep 0.2; wc -c', { stdin: true });
    using attachment = await task.attach({ stdin: true, output: true });
    attachment.stderr.resume();
    const all = text(attachment.stdout);
    await task.start();
    attachment.stdin?.end(Buffer.alloc(5 << 20));
    assert.equal((await all).trim(), String(5 << 20));
  });

  test('a process that does not want its stdin is not disturbed by it', async () => {
    const task = await launch('exec <&-; sleep 0.1; echo ok', { stdin: true });
    using attachment = await task.attach({ stdin: true, output: true });
    attachment.stderr.resume();
    const all = text(attachment.stdout);
    await task.start();
    attachment.stdin?.write(Buffer.alloc(1 << 20));
    assert.equal(await all, 'ok\n');
    assert.equal((await task.exited).code, 0);
  });

  test('a full disk costs log records, not the process, and leaves no half of one', async () => {
    const small = path.join(root, 'small');
    mkdirSync(small);
    mountTmpfs(small, { size: 64 << 10 });
    try {
      const log = path.join(small, 'log');
      const task = await launch(
        `i=0; while [ $i -lt 3000 ]; do echo a longer line with the number $i; i=$((i+1)); done; rm ${small}/x; echo last; exit 6`,
        { log: { file: { path: log } } },
      );
      await task.start();
      assert.equal((await task.exited).code, 6);
      const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean);
      assert.ok(lines.length > 100 && lines.length < 2000);
      for (const line of lines) assert.doesNotThrow(() => JSON.parse(line), line);
    } finally {
      unmount(small);
    }
  });

  test('an unstarted monitor ends with its last client', async () => {
    const task = await launch('true');
    using other = await task.attach({ stdin: false, output: true });
    task.abandon();
    await sleep(50);
    assert.ok(existsSync(path.join(task.directory, 'sock')));
    other[Symbol.dispose]();
    for (let i = 0; i < 100 && existsSync(path.join(task.directory, 'sock')); i++) await sleep(10);
    assert.ok(!existsSync(path.join(task.directory, 'sock')));
  });

  test('an idle monitor is small', async () => {
    const task = await launch('exec sleep 60');
    await task.start();
    await sleep(50);
    const rollup = readFileSync(`/proc/${await monitorOf(task)}/smaps_rollup`, 'utf8');
    const pss = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]);
    process.kill(task.pid, 9);
    assert.equal((await task.exited).code, 137);
    assert.ok(pss < 300, rollup);
  });
});

/** The `log` values of Docker's json-file driver for this output, by the rules of its copier and of Go's JSON. */
function expectedLog(output: Buffer): string[] {
  const records: string[] = [];
  let at = 0;
  while (at < output.length) {
    const window = output.subarray(at, at + LINE);
    const newline = window.indexOf('\n');
    if (newline >= 0) records.push(`${goEscape(window.subarray(0, newline))}\\n`);
    else records.push(goEscape(window));
    at += newline >= 0 ? newline + 1 : window.length;
  }
  return records;
}

function goEscape(bytes: Buffer): string {
  let escaped = '';
  for (let at = 0; at < bytes.length;) {
    const character = goCharacter(bytes, at);
    if (character === undefined) {
      escaped += '\\ufffd';
      at++;
      continue;
    }
    const code = character.codePointAt(0) ?? 0;
    if (character === '"' || character === '\\') escaped += `\\${character}`;
    else if (character === '\n') escaped += '\\n';
    else if (character === '\r') escaped += '\\r';
    else if (code < 0x20 || '<>&\u2028\u2029'.includes(character))
      escaped += `\\u${code.toString(16).padStart(4, '0')}`;
    else escaped += character;
    at += Buffer.byteLength(character);
  }
  return escaped;
}

function goCharacter(bytes: Buffer, at: number): string | undefined {
  for (let length = 1; length <= 4; length++) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        bytes.subarray(at, at + length),
      );
    } catch {
      if (at + length >= bytes.length) return undefined;
    }
  }
  return undefined;
}
