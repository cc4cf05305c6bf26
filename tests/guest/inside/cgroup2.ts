import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { field, type Api } from '../../api/client.ts';
import { onEveryEngine } from '../../api/engines.ts';
import { sleep, until } from '../../daemons.ts';

const MEGABYTE = 1 << 20;
const ROOT = '/sys/fs/cgroup';
/** Writes its count of turns into the container's /turns, the newest last. */
const COUNT = 'i=0; while true; do i=$((i+1)); echo $i >> /turns; sleep 0.2; done';

type Host = Record<string, unknown>;

/** The directory of a running container's cgroup. */
async function groupOf(api: Api, id: string): Promise<string> {
  const pid = field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Pid');
  return path.join(ROOT, readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().replace('0::', ''));
}

async function file(api: Api, id: string, name: string): Promise<string> {
  return readFileSync(path.join(await groupOf(api, id), name), 'utf8').trim();
}

async function stdout(api: Api, line: string, HostConfig: Host = {}): Promise<string> {
  const { code, stdout: text, stderr } = await api.output(line, { HostConfig });
  assert.equal(code, 0, `${line}: ${stderr}`);
  return text.trim();
}

async function execute(api: Api, id: string, line: string): Promise<number> {
  const exec = field(await api.post(`/containers/${id}/exec`, { Cmd: ['sh', '-c', line] }).is(201), 'Id');
  await api.post(`/exec/${exec}/start`, { Detach: true }).is(200);
  let code = 'null';
  await until(`"${line}" ends`, async () => {
    code = field(await api.get(`/exec/${exec}/json`).is(200), 'ExitCode');
    return code !== 'null';
  });
  return Number(code);
}

const turns = async (api: Api, id: string): Promise<string> => {
  const { body } = await api.get(`/containers/${id}/archive?path=/turns`).reply();
  return body.toString();
};

onEveryEngine('cgroup v2', ({ check }) => {
  check('info tells the version, the driver, and that layers are EROFS', async (api) => {
    await api.get('/info').is(200, {
      CgroupVersion: '2',
      CgroupDriver: 'cgroupfs',
      Driver: 'erofs',
      DefaultRuntime: 'crun',
      SecurityOptions: (list) => Array.isArray(list) && list.includes('name=cgroupns'),
      Warnings: (list) => list === null || (Array.isArray(list) && list.length === 0),
      ...Object.fromEntries(
        ['MemoryLimit', 'SwapLimit', 'CpuCfsQuota', 'CPUShares', 'CPUSet', 'PidsLimit'].map((key) => [
          key,
          true,
        ]),
      ),
      OomKillDisable: false,
    });
  });
  for (const Runtime of ['crun', 'runc']) {
    check(`${Runtime}: limits are in force`, async (api) => {
      const id = await api.run('while true; do :; done', {
        HostConfig: {
          Runtime,
          NanoCpus: 2e8,
          Memory: 32 * MEGABYTE,
          MemorySwap: 48 * MEGABYTE,
          CpusetCpus: '1',
        },
      });
      assert.equal(await file(api, id, 'cpu.max'), '20000 100000');
      assert.equal(await file(api, id, 'memory.max'), String(32 * MEGABYTE));
      assert.equal(await file(api, id, 'memory.swap.max'), String(16 * MEGABYTE));
      assert.equal(await file(api, id, 'cpuset.cpus.effective'), '1');
      await until('the processor is throttled', async () => {
        const stats = await api.get(`/containers/${id}/stats?stream=0&one-shot=1`).is(200);
        return Number(field(stats, 'cpu_stats', 'throttling_data', 'throttled_periods')) > 2;
      });
    });
    check(`${Runtime}: too much memory kills, and the state says so`, async (api) => {
      const id = await api.run('tail /dev/zero', {
        HostConfig: { Runtime, Memory: 16 * MEGABYTE, MemorySwap: 16 * MEGABYTE },
      });
      await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 137 });
      await api.get(`/containers/${id}/json`).is(200, { State: { OOMKilled: true } });
    });
    check(`${Runtime}: devices as allowed, and no others`, async (api) => {
      const read = 'head -c 1 /dev/disk | wc -c';
      const denied = await api.output(`mknod /dev/disk b 254 0; ${read}`, { HostConfig: { Runtime } });
      assert.match(denied.stderr, /head: \/dev\/disk: Operation not permitted/);
      const Devices = [{ PathOnHost: '/dev/vdb', PathInContainer: '/dev/disk', CgroupPermissions: 'r' }];
      assert.equal(await stdout(api, read, { Runtime, Devices }), '1');
      const write = await api.output(': >> /dev/disk', { HostConfig: { Runtime, Devices } });
      assert.match(write.stderr, /Operation not permitted/);
      const DeviceCgroupRules = ['b 254:* rm'];
      assert.equal(
        await stdout(api, `mknod /dev/disk b 254 0; ${read}`, { Runtime, DeviceCgroupRules }),
        '1',
      );
      assert.equal(await stdout(api, 'head -c 1 /dev/vda | wc -c', { Runtime, Privileged: true }), '1');
    });
    check(`${Runtime}: limits of disks and weights`, async (api) => {
      const Path = '/dev/vda';
      const id = await api.run('sleep 600', {
        HostConfig: {
          Runtime,
          CpuShares: 512,
          BlkioDeviceReadBps: [{ Path, Rate: 2 * MEGABYTE }],
          BlkioDeviceWriteIOps: [{ Path, Rate: 100 }],
        },
      });
      assert.match(await file(api, id, 'io.max'), new RegExp(`^\\d+:0 rbps=${2 * MEGABYTE} .*wiops=100$`));
      assert.equal(await file(api, id, 'cpu.weight'), '20');
      await api
        .post(`/containers/${id}/update`, {
          Memory: 64 * MEGABYTE,
          MemorySwap: -1,
          PidsLimit: 30,
          NanoCpus: 15e8,
          CpusetCpus: '0',
        })
        .is(200);
      assert.equal(await file(api, id, 'memory.max'), String(64 * MEGABYTE));
      assert.equal(await file(api, id, 'pids.max'), '30');
      assert.equal(await file(api, id, 'cpu.max'), '150000 100000');
      assert.equal(await file(api, id, 'cpuset.cpus'), '0');
    });
    check(
      `${Runtime}: a container that divides its own cgroup still takes execs, and goes whole`,
      async (api) => {
        const divide = [
          'mkdir /sys/fs/cgroup/init && echo 1 > /sys/fs/cgroup/init/cgroup.procs',
          'echo +pids > /sys/fs/cgroup/cgroup.subtree_control && echo ready > /ready && sleep 600',
        ];
        const id = await api.run(divide.join(' && '), { HostConfig: { Runtime, Privileged: true } });
        const group = path.dirname(await groupOf(api, id));
        await until(
          'it is divided',
          async () => (await api.get(`/containers/${id}/archive?path=/ready`).reply()).status === 200,
        );
        assert.equal(await execute(api, id, 'exit 7'), 7);
        await api.delete(`/containers/${id}?force=1`).is(204);
        assert.ok(!existsSync(group), group);
      },
    );
  }
  check('no more processes than allowed', async (api) => {
    const forks = 'for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; echo all';
    const { stdout: text, stderr } = await api.output(forks, { HostConfig: { PidsLimit: 5 } });
    assert.doesNotMatch(text, /all/);
    assert.match(stderr, /can't fork/);
  });
  check('pause freezes, unpause goes on, a frozen container can be killed', async (api) => {
    const id = await api.run(COUNT);
    await until('it counts', async () => (await turns(api, id)).includes('\n2\n'));
    await api.post(`/containers/${id}/pause`).is(204);
    assert.match(await file(api, id, 'cgroup.events'), /frozen 1/);
    const frozen = await turns(api, id);
    await sleep(1000);
    assert.equal(await turns(api, id), frozen);
    await api.post(`/containers/${id}/unpause`).is(204);
    await until('it counts on', async () => (await turns(api, id)) !== frozen);
    await api.post(`/containers/${id}/pause`).is(204);
    await api.post(`/containers/${id}/kill`).is(204);
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 137 });
  });
  check('weights of disks', async (api) => {
    const id = await api.run('sleep 600', { HostConfig: { BlkioWeight: 300 } });
    const group = await groupOf(api, id);
    const weight = readdirSync(group).find((name) => /^io\.(bfq\.)?weight$/.test(name)) ?? '';
    assert.match(await file(api, id, weight), /default \d+/);
  });
  check('a cgroup namespace of its own, also when privileged; the host’s when asked for', async (api) => {
    const own = 'cat /proc/self/cgroup';
    assert.equal(await stdout(api, own), '0::/');
    assert.equal(await stdout(api, own, { Privileged: true }), '0::/');
    assert.match(await stdout(api, own, { CgroupnsMode: 'host' }), /^0::\/hull[^/]*\/[0-9a-f]{64}$/);
    const { stderr } = await api.output('mkdir /sys/fs/cgroup/x');
    assert.match(stderr, /Read-only file system/);
    await api.output('mkdir /sys/fs/cgroup/x', { HostConfig: { Privileged: true } });
  });
  check('stats have what clients of v2 read', async (api) => {
    const id = await api.run('sleep 600', { HostConfig: { PidsLimit: 20 } });
    const positive = (value: unknown): boolean => typeof value === 'number' && value > 0;
    await api.get(`/containers/${id}/stats?stream=0`).is(200, {
      pids_stats: { current: 1, limit: 20 },
      cpu_stats: { cpu_usage: { total_usage: positive, percpu_usage: undefined }, online_cpus: 2 },
      memory_stats: {
        usage: positive,
        max_usage: undefined,
        failcnt: undefined,
        stats: { anon: positive, inactive_file: (value) => typeof value === 'number' },
      },
      blkio_stats: { io_serviced_recursive: null },
    });
  });
  check(
    'after kill -9 of the daemon containers are counted, frozen and ended as before',
    async (api, daemon) => {
      const id = await api.run('sleep 600', { HostConfig: { Memory: 64 * MEGABYTE } });
      await daemon.kill();
      await daemon.start();
      await api
        .get(`/containers/${id}/stats?stream=0&one-shot=1`)
        .is(200, { memory_stats: { limit: 64 * MEGABYTE } });
      await api.post(`/containers/${id}/pause`).is(204);
      await api.get(`/containers/${id}/json`).is(200, { State: { Status: 'paused' } });
      await api.post(`/containers/${id}/unpause`).is(204);
      const group = await groupOf(api, id);
      await api.delete(`/containers/${id}?force=1`).is(204);
      assert.ok(!existsSync(group), group);
    },
  );
});
