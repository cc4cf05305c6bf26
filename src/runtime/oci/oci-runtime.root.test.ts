import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, suite, test } from 'node:test';

import { Logger } from '#/base/log.ts';
import { identify } from '#/host/process-identity.ts';
import { Trash } from '#/host/trash.ts';
import type { Task } from '#/runtime/runtime.ts';

import { BusyboxBundles } from './busybox-bundle.ts';
import { monitorOf } from './monitor-of.ts';
import { OciRuntime } from './oci-runtime.ts';

interface LogLine {
  log: string;
  stream: string;
  time: string;
}

function logLines(file: string): LogLine[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LogLine);
}

/** Starts the task and collects what it writes. */
async function outputOf(task: Task): Promise<{ code: number; stdout: string; stderr: string }> {
  using attachment = await task.attach({ stdin: false, output: true });
  const both = Promise.all([text(attachment.stdout), text(attachment.stderr)]);
  await task.start();
  const [stdout, stderr] = await both;
  return { code: (await task.exited).code, stdout, stderr };
}

for (const name of ['crun', 'runc'] as const) {
  suite(`OciRuntime with ${name}`, { skip: process.getuid?.() !== 0 }, async () => {
    const bundles = await BusyboxBundles.create(name);
    after(async () => {
      await bundles[Symbol.asyncDispose]();
      // The leak check: nothing of ours is left behind.
      assert.ok(!existsSync(bundles.directory));
      await sleep(50);
      const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
      assert.ok(!processes.includes(bundles.directory), processes);
    });

    test('probe() says that it works', async () => {
      assert.deepEqual(await bundles.runtime.probe(), { works: true });
      const missing = new OciRuntime({
        name: 'x',
        binary: 'nonesuch',
        monitor: bundles.monitor,
        root: bundles.directory,
        logger: new Logger(),
        trash: new Trash(path.join(bundles.directory, 'missing')),
      });
      assert.deepEqual(await missing.probe(), { works: false, reason: 'No executable "nonesuch" in $PATH' });
    });

    test('a task gives its output to who attached before start, its log, and its exit code', async () => {
      const task = await bundles.create(['sh', '-c', 'echo out; echo err >&2; exit 7']);
      assert.equal(task.pid, 0);
      assert.deepEqual(await outputOf(task), { code: 7, stdout: 'out\n', stderr: 'err\n' });
      const { at, oomKilled, startError } = await task.exited;
      assert.ok(Math.abs(at.getTime() - Date.now()) < 10_000);
      assert.deepEqual([oomKilled, startError], [false, undefined]);
      const lines = logLines(bundles.logFile(task.id)).sort((a, b) => a.stream.localeCompare(b.stream));
      assert.deepEqual(
        lines.map(({ log, stream }) => [log, stream]),
        [
          ['err\n', 'stderr'],
          ['out\n', 'stdout'],
        ],
      );
      assert.match(lines[0]?.time ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/);
      await task.remove();
      await task.remove();
      assert.ok(!existsSync(bundles.taskDirectory(task.id)));
    });

    test('signals become 128 + n, and reach the process or all of them', async () => {
      const task = await bundles.create(['sleep', '60']);
      await assert.rejects(task.kill(9), { kind: 'conflict' });
      await task.start();
      assert.ok(task.pid > 0);
      await assert.rejects(task.remove(), { kind: 'conflict' });
      await task.kill(9);
      assert.equal((await task.exited).code, 137);
      await assert.rejects(task.kill(9), { kind: 'conflict' });
      const all = await bundles.create([
        'sh',
        '-c',
        'trap "exit 3" TERM; echo up; while :; do sleep 1; done',
      ]);
      using attachment = await all.attach({ stdin: false, output: true });
      await all.start();
      for await (const _ of attachment.stdout) break;
      assert.ok((await all.pids()).length >= 1);
      await all.kill(15, true);
      assert.equal((await all.exited).code, 3);
    });

    test("start() rejects with the runtime's words when the command is missing", async () => {
      const task = await bundles.create(['nonesuch']);
      await assert.rejects(task.start(), (error: Error) => {
        assert.match(
          error.message,
          /executable file .*nonesuch.* not found in \$PATH|exec: "nonesuch": executable file not found/,
        );
        return true;
      });
      const exit = await task.exited;
      assert.match(exit.startError ?? '', /nonesuch/);
      const directory = await bundles.create(['/tmp']);
      await assert.rejects(directory.start(), /ermission denied|is a directory|not permitted/);
    });

    test('a task that is never started goes away with remove()', async () => {
      const task = await bundles.create(['true']);
      await task.remove();
      assert.ok(!existsSync(bundles.taskDirectory(task.id)));
    });

    test('stdin reaches the process, and its half-close too', async () => {
      const task = await bundles.create(['sh', '-c', 'cat; echo end'], { stdin: true });
      using attachment = await task.attach({ stdin: true, output: true });
      attachment.stderr.resume();
      const all = text(attachment.stdout);
      attachment.stdin?.write('before start, ');
      await task.start();
      attachment.stdin?.end('and after\n');
      assert.equal(await all, 'before start, and after\nend\n');
      const closed = await bundles.create(['cat']);
      assert.equal((await outputOf(closed)).code, 0);
    });

    test('a process that ends while its stdin is still being closed loses no output', async () => {
      const one = async (i: number): Promise<void> => {
        const task = await bundles.create(['sh', '-c', 'read x; echo "got $x"'], {
          stdin: true,
          log: undefined,
        });
        using attachment = await task.attach({ stdin: true, output: true });
        attachment.stderr.resume();
        const all = text(attachment.stdout);
        await task.start();
        attachment.stdin?.end(`${i}\n`);
        assert.equal(await all, `got ${i}\n`);
        await task.exited;
        await task.remove();
      };
      for (let round = 0; round < 4; round++) await Promise.all([0, 1, 2, 3, 4, 5].map(one));
    });

    test('stdinOnce closes stdin when its client goes away', async () => {
      const task = await bundles.create(['cat'], { stdin: true, stdinOnce: true });
      const attachment = await task.attach({ stdin: true, output: false });
      await task.start();
      attachment[Symbol.dispose]();
      assert.equal((await task.exited).code, 0);
    });

    test('a terminal has its size, echoes, and is resized', async () => {
      const task = await bundles.create(['sh', '-c', 'stty size; read x; stty size; test -t 1 && echo tty'], {
        terminal: true,
        stdin: true,
        size: { rows: 31, columns: 97 },
      });
      using attachment = await task.attach({ stdin: true, output: true });
      attachment.stderr.resume();
      let seen = '';
      attachment.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
      await task.start();
      for (let i = 0; i < 200 && !seen.includes('\n'); i++) await sleep(10);
      assert.equal(seen, '31 97\r\n');
      await task.resize({ rows: 40, columns: 120 });
      attachment.stdin?.write('go\n');
      assert.equal((await task.exited).code, 0);
      assert.equal(seen, '31 97\r\ngo\r\n40 120\r\ntty\r\n');
    });

    test('exec runs a further process with stdio of its own', async () => {
      const task = await bundles.create(['sleep', '60']);
      await task.start();
      const exec = await task.exec({
        id: 'e'.repeat(64),
        process: {
          args: ['sh', '-c', 'cat; echo err >&2; exit 9'],
          cwd: '/',
          env: ['PATH=/bin'],
          user: { uid: 0, gid: 0 },
        },
        io: { terminal: false, stdin: true },
      });
      using attachment = await exec.attach({ stdin: true, output: true });
      const both = Promise.all([text(attachment.stdout), text(attachment.stderr)]);
      await exec.start();
      assert.ok(exec.pid > 0 && exec.pid !== task.pid);
      attachment.stdin?.end('in');
      assert.deepEqual(await both, ['in', 'err\n']);
      assert.equal((await exec.exited).code, 9);
      await exec.remove();
      const missing = await task.exec({
        id: 'f'.repeat(64),
        process: { args: ['nonesuch'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } },
        io: { terminal: false, stdin: false },
      });
      await assert.rejects(missing.start(), /nonesuch/);
      await missing.remove();
      await task.kill(9);
      await task.exited;
      await assert.rejects(
        task.exec({
          id: 'a'.repeat(64),
          process: { args: ['true'], cwd: '/', user: { uid: 0, gid: 0 } },
          io: { terminal: false, stdin: false },
        }),
        { kind: 'conflict' },
      );
    });

    test('pause stops it, resume lets it go on, and a paused one can be killed', async () => {
      const task = await bundles.create(['sh', '-c', 'while :; do echo tick; sleep 0.02; done']);
      using attachment = await task.attach({ stdin: false, output: true });
      attachment.stderr.resume();
      const ticks: Buffer[] = [];
      attachment.stdout.on('data', (chunk: Buffer) => ticks.push(chunk));
      await task.start();
      await task.pause();
      await sleep(50);
      const before = ticks.length;
      await sleep(150);
      assert.equal(ticks.length, before);
      await task.resume();
      for (let i = 0; i < 100 && ticks.length === before; i++) await sleep(10);
      assert.ok(ticks.length > before);
      await task.pause();
      await task.kill(9);
      assert.equal((await task.exited).code, 137);
    });

    test('limits hold, are updated, and are told by stats()', async () => {
      const task = await bundles.create(
        ['sh', '-c', 'sh -c "while :; do sleep 60 & done"; exec sleep 60'],
        {},
        (spec) => {
          spec.linux.resources = {
            ...spec.linux.resources,
            pids: { limit: 10 },
            memory: { limit: 64 << 20 },
            cpu: { quota: 50_000, period: 100_000 },
          };
        },
      );
      await task.start();
      await sleep(200);
      const stats = await task.stats();
      assert.equal(stats.memory.limit, 64 << 20);
      assert.equal(stats.pids.limit, 10);
      assert.ok(stats.pids.current > 5 && stats.pids.current <= 10);
      assert.ok(stats.cpu.usageNs > 0 && stats.memory.usage > 0);
      await task.update({ memory: { limit: 128 << 20 } });
      assert.equal((await task.stats()).memory.limit, 128 << 20);
    });

    test('seccomp filters the process and its execs, the compiled filter as well as the profile', async () => {
      for (const round of ['compiled by the runtime', 'kept from the first']) {
        const task = await bundles.create(['sh', '-c', 'cat /proc/self/status; unshare -U true; sleep 60']);
        if (name === 'crun') {
          const config = readFileSync(`${bundles.taskDirectory(task.id)}.b/config.json`, 'utf8');
          assert.ok(round.startsWith('compiled') || config.includes('run.oci.seccomp_bpf_data'));
        }
        using attachment = await task.attach({ stdin: false, output: true });
        const refused = attachment.stderr.take(1).toArray();
        let status = '';
        attachment.stdout.on('data', (chunk: Buffer) => (status += chunk.toString()));
        await task.start();
        assert.match(String(await refused), /Operation not permitted/, round);
        assert.match(status, /^Seccomp:\t2$/m, round);
        const exec = await task.exec({
          id: 'e'.repeat(64),
          process: {
            args: ['cat', '/proc/self/status'],
            cwd: '/',
            env: ['PATH=/bin'],
            user: { uid: 0, gid: 0 },
          },
          io: { terminal: false, stdin: false },
        });
        using execAttachment = await exec.attach({ stdin: false, output: true });
        execAttachment.stderr.resume();
        const execStatus = text(execAttachment.stdout);
        await exec.start();
        assert.match(await execStatus, /^Seccomp:\t2$/m, round);
        await exec.exited;
        await exec.remove();
        await task.kill(9);
        await task.exited;
      }
    });

    test('a process killed for want of memory is told as such', async () => {
      const task = await bundles.create(['sh', '-c', 'x=a; while :; do x=$x$x; done'], {}, (spec) => {
        spec.linux.resources = { ...spec.linux.resources, memory: { limit: 16 << 20, swap: 16 << 20 } };
      });
      await task.start();
      const exit = await task.exited;
      assert.deepEqual([exit.code, exit.oomKilled], [137, true]);
    });

    test('load() finds a running task again, and what an ended one left', async () => {
      const task = await bundles.create(['sh', '-c', 'read x; echo "got $x"; exit 5'], { stdin: true });
      await task.start();
      const again = await bundles.newRuntime().load(task.id, bundles.taskDirectory(task.id));
      assert.ok(again);
      assert.equal(again.pid, task.pid);
      using attachment = await again.attach({ stdin: true, output: true });
      attachment.stderr.resume();
      const all = text(attachment.stdout);
      attachment.stdin?.write('it\n');
      assert.equal(await all, 'got it\n');
      assert.equal((await again.exited).code, 5);
      await task.exited;
      const late = await bundles.newRuntime().load(task.id, bundles.taskDirectory(task.id));
      assert.equal((await late?.exited)?.code, 5);
      assert.equal(await bundles.newRuntime().load('x', bundles.directory), undefined);
    });

    test('load() forgets a task that was never started', async () => {
      const task = await bundles.create(['true']);
      // By now its monitor listens.
      using _ = await task.attach({ stdin: false, output: true });
      assert.equal(await bundles.newRuntime().load(task.id, bundles.taskDirectory(task.id)), undefined);
      assert.ok(!existsSync(bundles.taskDirectory(task.id)));
    });

    test('a task whose monitor is killed ends, and the end is recorded', async () => {
      const task = await bundles.create(['sleep', '60']);
      await task.start();
      process.kill(await monitorOf(task), 9);
      assert.equal((await task.exited).code, 137);
      for (let i = 0; i < 100 && identify(task.pid); i++) await sleep(10);
      assert.equal(identify(task.pid), undefined);
      const late = await bundles.newRuntime().load(task.id, bundles.taskDirectory(task.id));
      assert.equal((await late?.exited)?.code, 137);
    });
  });
}
