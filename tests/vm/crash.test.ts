import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';

import { type Api, demultiplex, field as fieldOf } from '../api/client.ts';
import { type Daemon, sleep, until } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { Random } from '../random.ts';
import { childrenOf, nameOf, processesOf, startVmDaemon, vm, type VmProcesses } from './vm-daemon.ts';

/** kill -9 of what a microVM runs in. `HULL_CRASH_SEED` and `HULL_CRASH_ROUNDS` are those of the engine's own crash test. */
const SEED = Number(process.env.HULL_CRASH_SEED ?? 7);
const ROUNDS = Math.min(10, Number(process.env.HULL_CRASH_ROUNDS ?? 10));
const SIGKILL = 137;

/** Says how many synced lines it found, then writes and syncs one after the other, and says each number only then. */
const WRITER =
  'touch /data; echo found $(wc -l </data); i=0; while :; do echo $i >>/data; sync /data; echo $i; i=$((i+1)); usleep 2000; done';

suite('crashes of microVMs', { timeout: 400_000 }, () => {
  const snapshot = hostSnapshot();
  let daemon: Daemon;
  let api: Api;

  before(async () => {
    ({ daemon, api } = await startVmDaemon());
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await assertNoLeaks(snapshot, [daemon.directory]);
  });

  test('whatever is killed, the exit is told with its reason, nothing of it runs on, and it starts again', async () => {
    const id = await api.run(WRITER, vm());
    const reasons: Record<keyof VmProcesses, RegExp> = {
      qemu: /^QEMU was killed by signal 9/,
      hullVm: /^$/,
      monitor: /^$/,
    };
    for (const victim of ['qemu', 'hullVm', 'monitor'] as const) {
      await api.spoke(id);
      const processes = await processesOf(api, id);
      process.kill(processes[victim], 'SIGKILL');
      await exited(api, id);
      await api.get(`/containers/${id}/json`).is(200, {
        State: { Status: 'exited', ExitCode: SIGKILL, OOMKilled: false, Pid: 0, Error: reasons[victim] },
      });
      await gone(processes);
      await api.post(`/containers/${id}/start`).is(204);
      await api.get(`/containers/${id}/json`).is(200, { State: { Running: true, Error: '' } });
    }
    await api.delete(`/containers/${id}?force=1`).is(204);
  });

  test('after a power cut what was synced is there', async (context) => {
    const id = await api.run(WRITER, vm());
    const counts: number[] = [];
    for (let round = 0; round < 2; round++) {
      const before = round === 0 ? 0 : (counts.at(-1) ?? 0);
      await until('the guest has written', async () => (await lines(api, id)).length > before + 20);
      process.kill((await processesOf(api, id)).qemu, 'SIGKILL');
      await exited(api, id);
      const said = (await lines(api, id)).filter((line) => !line.startsWith('found')).length;
      await api.post(`/containers/${id}/start`).is(204);
      await until('it counts', async () => (await found(api, id)).length === round + 2);
      const kept = (await found(api, id)).at(-1) ?? 0;
      assert.ok(kept >= said, `${said} lines were synced, ${kept} are there`);
      counts.push((await lines(api, id)).length);
    }
    context.diagnostic(`lines after each cut: ${(await found(api, id)).join(', ')}`);
    await api.delete(`/containers/${id}?force=1`).is(204);
  });

  test('an engine that is killed finds its microVMs again: logs, exec, attach, stop', async () => {
    const id = await api.run(WRITER, vm());
    await api.spoke(id);
    const { qemu } = await processesOf(api, id);
    await daemon.kill();
    await daemon.start();
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
    assert.equal((await processesOf(api, id)).qemu, qemu);
    const seen = (await lines(api, id)).length;
    await until('its log goes on', async () => (await lines(api, id)).length > seen);
    const exec = await api
      .post(`/containers/${id}/exec`, { Cmd: ['echo', 'here'], AttachStdout: true })
      .is(201);
    const reply = await api.post(`/exec/${fieldOf(exec, 'Id')}/start`, {}).reply();
    assert.equal(demultiplex(reply.body).stdout, 'here\n');
    const attached = await api.raw('POST', `/containers/${id}/attach?stream=1&stdout=1`);
    await attached.until('output', () => attached.received.length > 0);
    attached.close();
    await api.post(`/containers/${id}/stop?t=1`).is(204);
    await api.get(`/containers/${id}/json`).is(200, { State: { Status: 'exited', ExitCode: SIGKILL } });
    await api.delete(`/containers/${id}`).is(204);
  });

  test(`${ROUNDS} kills at random moments of a start or a stop leave a container that works (seed ${SEED})`, async () => {
    const random = new Random(SEED);
    const id = await api.create({ Cmd: ['sh', '-c', 'echo up; exec sleep 600'], ...vm() });
    for (let round = 0; round < ROUNDS; round++) {
      const where = `round ${round + 1} of seed ${SEED}`;
      const stops = random.next() < 0.4;
      if (stops) await api.post(`/containers/${id}/start`).is(204);
      const action = stops ? `/containers/${id}/stop?t=1` : `/containers/${id}/start`;
      const answer = api.post(action).reply();
      answer.catch(() => {});
      await sleep(random.between(0, 700));
      const victim = random.pick(['qemu', 'hullVm', 'monitor', 'engine'] as const);
      if (victim === 'engine') {
        await daemon.kill();
        await daemon.start();
      } else {
        const pid = victimOf(daemon, victim);
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
        const { status } = await answer;
        assert.ok([204, 304, 400, 500].includes(status), `${where}: ${action} answered ${status}`);
      }
      await settled(api, id, where);
      await api.post(`/containers/${id}/kill`).is([204, 409]);
      await exited(api, id);
      const state = (await api.get(`/containers/${id}/json`).is(200)) as { State: Record<string, unknown> };
      assert.equal(state.State.Running, false, where);
      await until(`${where}: nothing of it runs`, () => victimOf(daemon, 'monitor') === undefined);
    }
    await api.post(`/containers/${id}/start`).is(204);
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
    await api.delete(`/containers/${id}?force=1`).is(204);
  });

  test('nothing of them is left under the exec root', async () => {
    await until('all is cleared away', () =>
      ['vm', 'tasks'].every((name) => readdirSync(`${daemon.execRoot}/${name}`).length === 0),
    );
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    assert.ok(!mounts.includes(`${daemon.execRoot}/vm/`), mounts);
  });
});

async function lines(api: Api, id: string): Promise<string[]> {
  const { body } = await api.get(`/containers/${id}/logs?stdout=1`).reply();
  const { stdout } = demultiplex(body);
  return stdout.split('\n').slice(0, -1);
}

/** What each run has found. */
async function found(api: Api, id: string): Promise<number[]> {
  return (await lines(api, id))
    .filter((line) => line.startsWith('found'))
    .map((line) => Number(line.slice(6)));
}

async function exited(api: Api, id: string): Promise<void> {
  await until(`${id} has ended`, async () => {
    const { body } = await api.get(`/containers/${id}/json`).reply();
    const { State } = JSON.parse(body.toString()) as { State: { Running: boolean } };
    return !State.Running;
  });
}

/** A start or a stop that was under way has come to its end. */
async function settled(api: Api, id: string, where: string): Promise<void> {
  await until(`${where}: ${id} is looked after`, async () => {
    const { status } = await api.get(`/containers/${id}/json`).reply();
    return status === 200;
  });
}

async function gone({ hullVm, qemu }: VmProcesses): Promise<void> {
  await until('QEMU and hull-vm are gone', () => [hullVm, qemu].every((pid) => nameOf(pid) === ''));
}

/** The one process of this kind that the daemon's only VM has. */
function victimOf(daemon: Daemon, victim: keyof VmProcesses): number | undefined {
  const monitor = readdirSync('/proc')
    .map(Number)
    .find((pid) => nameOf(pid) === 'hull-monitor' && commandOf(pid).includes(`${daemon.execRoot}/tasks/`));
  if (victim === 'monitor' || monitor === undefined) return monitor;
  const hullVm = childrenOf(monitor).find((pid) => nameOf(pid) === 'hull-vm');
  if (victim === 'hullVm' || hullVm === undefined) return hullVm;
  return childrenOf(hullVm).find((pid) => nameOf(pid).startsWith('qemu'));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
