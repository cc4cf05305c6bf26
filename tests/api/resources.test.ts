import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { until } from '../daemons.ts';
import { type Api, field, type Json } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Host = Record<string, unknown>;

const MEGABYTE = 1 << 20;
const IS_V1 = existsSync('/sys/fs/cgroup/memory');

/** A file of the container's own cgroup, by its v1 and its v2 name, read in the container `id` through `docker exec`. */
async function limitOf(api: Api, id: string, v1: string, v2: string): Promise<string> {
  const { Id: exec } = (await api
    .post(`/containers/${id}/exec`, {
      Cmd: ['sh', '-c', `cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}`],
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
    })
    .is(201)) as { Id: string };
  const { body } = await api.post(`/exec/${exec}/start`, { Tty: true }).reply();
  return body.toString().trim();
}

const refuse = (api: Api, host: Host, message: string | RegExp): Promise<Json> =>
  api.post('/containers/create', { Image: 'busybox', HostConfig: host }).is([400, 500], { message });

onEveryEngine('resources', ({ check }) => {
  check('limits that cannot be are refused', async (api) => {
    for (const [host, message] of [
      [{ Memory: MEGABYTE }, 'Minimum memory limit allowed is 6MB'],
      [{ MemorySwap: 9 * MEGABYTE }, /^You should always set the Memory limit when using Memoryswap limit/],
      [{ MemoryReservation: MEGABYTE }, 'Minimum memory reservation allowed is 6MB'],
      [
        { NanoCpus: 1e6, CpuPeriod: 1000 },
        /^Conflicting options: Nano CPUs and CPU Period cannot both be set/,
      ],
      [
        { NanoCpus: 9e15 },
        /^[rR]ange of CPUs is from 0\.01 to \d+\.00, as there are only \d+ CPUs available$/,
      ],
      [{ CpuQuota: 10 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
      [{ CpusetCpus: '8000' }, /^Requested CPUs are not available - requested 8000, available: /],
      [{ CpusetMems: '8000' }, /^Requested memory nodes are not available - requested 8000, available: /],
      [{ CpusetCpus: '1-0' }, 'Invalid value 1-0 for cpuset cpus: invalid format: 1-0'],
      [{ OomScoreAdj: 2000 }, 'Invalid value 2000, range for oom score adj is [-1000, 1000]'],
      [{ IOMaximumIOps: 5 }, /^Invalid QoS settings: linux does not support/],
    ] as [Host, string | RegExp][]) {
      await refuse(api, host, message);
    }
  });
  check('what the kernel cannot do is discarded with a warning', async (api) => {
    const created = await api
      .post('/containers/create', { Image: 'busybox', HostConfig: { CpuPercent: 10 } })
      .is(201, { Warnings: ['linux does not support CPU percent. Percent discarded.'] });
    await api.get(`/containers/${field(created, 'Id')}/json`).is(200, { HostConfig: { CpuPercent: 0 } });
  });
  check('published ports of the host network are discarded with a warning', async (api) => {
    await api
      .post('/containers/create', {
        Image: 'busybox',
        HostConfig: { NetworkMode: 'host', PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
      })
      .is(201, { Warnings: ['Published ports are discarded when using host network mode'] });
  });
  check('there is as much swap as memory, and no limit of processes is none', async (api) => {
    const id = await api.create({ HostConfig: { Memory: 32 * MEGABYTE, PidsLimit: 0 } });
    await api
      .get(`/containers/${id}/json`)
      .is(200, { HostConfig: { MemorySwap: 64 * MEGABYTE, PidsLimit: null } });
  });
  check('cpus, cpusets, shares, reservation and swappiness reach the cgroup', async (api) => {
    const id = await api.run('sleep 60', {
      HostConfig: {
        CpuPeriod: 50_000,
        CpuQuota: 20_000,
        CpusetCpus: '0',
        CpusetMems: '0',
        CpuShares: 512,
        Memory: 64 * MEGABYTE,
        MemoryReservation: 32 * MEGABYTE,
        ...(IS_V1 ? { MemorySwappiness: 7, OomKillDisable: true } : {}),
      },
    });
    assert.match(await limitOf(api, id, 'cpu/cpu.cfs_quota_us', 'cpu.max'), /^20000/);
    assert.equal(await limitOf(api, id, 'cpuset/cpuset.cpus', 'cpuset.cpus'), '0');
    const reservation = await limitOf(api, id, 'memory/memory.soft_limit_in_bytes', 'memory.low');
    assert.equal(reservation, String(32 * MEGABYTE));
    if (!IS_V1) return;
    assert.equal(await limitOf(api, id, 'cpu/cpu.shares', ''), '512');
    assert.equal(await limitOf(api, id, 'memory/memory.swappiness', ''), '7');
    assert.match(await limitOf(api, id, 'memory/memory.oom_control', ''), /oom_kill_disable 1/);
  });
  check('an update changes limits of a running container, and keeps them', async (api) => {
    const id = await api.run('sleep 60', {
      HostConfig: { Memory: 64 * MEGABYTE, CpuPeriod: 50_000, PidsLimit: 20 },
    });
    const memory = (): Promise<string> => limitOf(api, id, 'memory/memory.limit_in_bytes', 'memory.max');
    await api
      .post(`/containers/${id}/update`, {
        Memory: 32 * MEGABYTE,
        MemorySwap: 40 * MEGABYTE,
        MemoryReservation: 16 * MEGABYTE,
        CpuQuota: 10_000,
        PidsLimit: 0,
      })
      .is(200);
    assert.equal(await memory(), String(32 * MEGABYTE));
    assert.equal(await limitOf(api, id, 'pids/pids.max', 'pids.max'), 'max');
    assert.match(await limitOf(api, id, 'cpu/cpu.cfs_quota_us', 'cpu.max'), /^10000/);
    await api.post(`/containers/${id}/restart?t=0`).is(204);
    assert.equal(await memory(), String(32 * MEGABYTE));
    await api.get(`/containers/${id}/json`).is(200, { HostConfig: { CpuPeriod: 50_000, CpuQuota: 10_000 } });
  });
  check('an update changes processors and swap of a running container, and keeps them', async (api) => {
    const id = await api.run('sleep 60');
    const memory = { Memory: 32 * MEGABYTE, MemorySwap: 40 * MEGABYTE };
    await api.post(`/containers/${id}/update`, { ...memory, CpuShares: 300, CpusetCpus: '0' }).is(200);
    const swap = await limitOf(api, id, 'memory/memory.memsw.limit_in_bytes', 'memory.swap.max');
    assert.equal(swap, String((IS_V1 ? 40 : 8) * MEGABYTE));
    assert.equal(await limitOf(api, id, 'cpuset/cpuset.cpus', 'cpuset.cpus'), '0');
    await api.post(`/containers/${id}/restart?t=0`).is(204);
    await api.get(`/containers/${id}/json`).is(200, { HostConfig: { CpuShares: 300, CpusetCpus: '0' } });
  });
  check('an update that clashes with what stands is refused, and changes nothing', async (api) => {
    const id = await api.create({ HostConfig: { NanoCpus: 5e8 } });
    for (const [body, message] of [
      [{ CpuPeriod: 20_000 }, /CPU Period cannot be updated as NanoCPUs has already been set$/],
      [{ Memory: 32 * MEGABYTE }, /update the memoryswap at the same time$/],
    ] as [Host, RegExp][]) {
      await api.post(`/containers/${id}/update`, body).is([400, 409, 500], { message });
    }
    await api
      .post(`/containers/${id}/update`, { CpusetMems: '8000' })
      .is(400, { message: /^Requested memory nodes are not available/ });
    await api.get(`/containers/${id}/json`).is(200, { HostConfig: { Memory: 0, CpuPeriod: 0 } });
  });
  check('what cannot be updated comes back as a warning', async (api) => {
    const id = await api.create();
    await api
      .post(`/containers/${id}/update`, { Devices: [{ PathOnHost: '/dev/null' }] })
      .is(200, { Warnings: ['Devices of a container cannot be updated.'] });
  });
  check('a process killed for want of memory is told of while the container goes on', async (api) => {
    const since = Math.floor(Date.now() / 1000);
    const id = await api.run('sleep 1; tail /dev/zero; sleep 60', {
      HostConfig: { Memory: 16 * MEGABYTE, MemorySwap: 16 * MEGABYTE },
    });
    await until(
      'it is marked',
      async () => {
        const { State } = (await api.get(`/containers/${id}/json`).is(200)) as {
          State: Record<string, Json>;
        };
        return State['OOMKilled'] === true && State['Running'] === true;
      },
      10_000,
    );
    const filters = encodeURIComponent(JSON.stringify({ container: [id], event: ['oom'] }));
    const now = (Date.now() / 1000 + 0.1).toFixed(3);
    await api.get(`/events?since=${since}&until=${now}&filters=${filters}`).is(200, { Action: 'oom' });
  });
});
