import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';

import { type Api, field as fieldOf } from '../api/client.ts';
import { type Daemon, until } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { field, startVmDaemon, vm } from './vm-daemon.ts';

/** Guests that do what they can to be a nuisance, with every capability there is: of their own kernel. */
const RSS_GROWTH_MAX_KIB = 96 * 1024;
/** Of the answers of the engine beside a guest that rages; half of them, since the processors are shared with it. */
const ANSWER_MS = 50;
const PANIC_MS = 2000;
const RAGE_MS = 2500;

suite('hostile guests', { timeout: 300_000 }, () => {
  const snapshot = hostSnapshot();
  let daemon: Daemon;
  let api: Api;
  let id: string;
  let rss: number;

  before(async () => {
    ({ daemon, api } = await startVmDaemon());
    // It outlives every kill, takes the orphans' ends, and needs no process more where there is none to be had.
    const init = 'echo ::sysinit:true >/etc/inittab; exec init';
    id = await api.run(init, vm({ Privileged: true, PidsLimit: 64 }));
    rss = rssOf(daemon);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await assertNoLeaks(snapshot, [daemon.directory]);
  });

  const rages: [what: string, line: string][] = [
    [
      'floods the serial console',
      'mknod /tmp/serial c 4 64; while :; do cat /bin/busybox >/tmp/serial; done',
    ],
    [
      'floods its kernel’s log, which goes to the console, too',
      'mknod /tmp/kmsg c 1 11; while :; do echo "<0>flood flood flood" >/tmp/kmsg; done',
    ],
    ['is a fork bomb', 'bomb() { bomb | bomb & }; bomb; sleep 600'],
    ['spins on all its processors', 'for i in 1 2 3 4; do while :; do :; done & done; wait'],
    ['fills its memory’s filesystems', 'while :; do cat /bin/busybox >>/dev/shm/full || sleep 1; done'],
    ['talks without end', 'yes'],
  ];
  for (const [what, line] of rages) {
    test(`a guest that ${what} leaves the engine as it is`, async (context) => {
      const exec = await api
        .post(`/containers/${id}/exec`, {
          Cmd: ['timeout', '-s', 'KILL', '5', 'sh', '-c', line],
          Privileged: true,
        })
        .is(201);
      await api.post(`/exec/${fieldOf(exec, 'Id')}/start`, { Detach: true }).is([200, 204]);
      const answers: number[] = [];
      for (const end = Date.now() + RAGE_MS; Date.now() < end;) {
        for (const path of ['/containers/json', `/containers/${id}/json`]) {
          const began = performance.now();
          await api.get(path).is(200);
          answers.push(performance.now() - began);
        }
      }
      answers.sort((a, b) => a - b);
      const median = answers[answers.length >> 1] ?? Infinity;
      context.diagnostic(
        `${answers.length} answers, ${median.toFixed(1)} ms (median), ${answers.at(-1)?.toFixed(1)} ms at most; RSS ${(rssOf(daemon) / 1024) | 0} MiB`,
      );
      assert.ok(median < ANSWER_MS, `${median} ms`);
      assert.ok(rssOf(daemon) - rss < RSS_GROWTH_MAX_KIB, `RSS from ${rss} to ${rssOf(daemon)} KiB`);
      await calm(api, id);
    });
  }

  test('the agent’s port is nobody else’s, even for who may make its device', async () => {
    const said = await execute(
      api,
      id,
      'mknod /tmp/port c $(tr : " " </sys/class/virtio-ports/vport0p1/dev); (echo garbage >/tmp/port) 2>&1; echo code $?',
    );
    assert.match(said, /busy[^]*code 1/);
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
  });

  test('a disk that is full fails the guest’s writes alone', async () => {
    const small = await api.run('exec sleep 600', {
      HostConfig: { Runtime: 'vm', StorageOpt: { size: '64m' } },
    });
    const said = await execute(api, small, 'dd if=/dev/zero of=/full bs=1M count=200 2>&1; echo alive');
    assert.match(said, /No space left on device[^]*alive/);
    await api.delete(`/containers/${small}?force=1`).is(204);
  });

  test('a kernel that panics is an exit with a reason, at once', async (context) => {
    await calm(api, id);
    const exec = await api
      .post(`/containers/${id}/exec`, { Cmd: ['sh', '-c', 'echo c >/proc/sysrq-trigger'], Privileged: true })
      .is(201);
    const began = performance.now();
    await api.post(`/exec/${fieldOf(exec, 'Id')}/start`, { Detach: true }).reply();
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 137 });
    const took = performance.now() - began;
    context.diagnostic(`seen after ${Math.round(took)} ms`);
    assert.ok(took < PANIC_MS, `${took} ms`);
    await api.get(`/containers/${id}/json`).is(200, {
      State: {
        ExitCode: 137,
        OOMKilled: false,
        Error: /^the guest's kernel panicked: sysrq triggered crash/,
      },
    });
    await api.post(`/containers/${id}/start`).is(204);
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true, Error: '' } });
  });
});

/** What a shell line in the container says. */
async function execute(api: Api, id: string, line: string): Promise<string> {
  const exec = await api
    .post(`/containers/${id}/exec`, {
      Cmd: ['sh', '-c', line],
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
      Privileged: true,
    })
    .is(201);
  const { body } = await api.post(`/exec/${fieldOf(exec, 'Id')}/start`, { Tty: true }).reply();
  return body.toString();
}

/** Ends what still rages. */
async function calm(api: Api, id: string): Promise<void> {
  await until(
    'the guest is calm',
    async () => {
      const said = await execute(api, id, 'kill -9 -1; echo calm').catch(() => '');
      return said.includes('calm') || (await execute(api, id, 'echo calm').catch(() => '')).includes('calm');
    },
    15_000,
  );
}

function rssOf({ pid }: Daemon): number {
  return (
    Number.parseInt(field(pid, 'VmRSS'), 10) ||
    Number.parseInt(readFileSync(`/proc/${pid}/statm`, 'utf8'), 10)
  );
}
