import { onEveryEngine } from './engines.ts';

const KILOBYTES = 1 << 10;
const MEGABYTES = 1 << 20;

onEveryEngine('update', ({ check }) => {
  check('limits of a running container change, and what is not named stays', async (api) => {
    const id = await api.run('sleep 60', { HostConfig: { CpuShares: 512 } });
    await api
      .post(`/containers/${id}/update`, { Memory: 64 * MEGABYTES, MemorySwap: -1 })
      .is(200, { Warnings: (list) => list === null || Array.isArray(list) });
    await api.get(`/containers/${id}/json`).is(200, {
      HostConfig: { Memory: 64 * MEGABYTES, CpuShares: 512 },
    });
    await api.get(`/containers/${id}/stats?stream=0`).is(200, { memory_stats: { limit: 64 * MEGABYTES } });
  });
  check('the restart policy changes', async (api) => {
    const id = await api.create();
    await api
      .post(`/containers/${id}/update`, { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } })
      .is(200);
    await api
      .get(`/containers/${id}/json`)
      .is(200, { HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } } });
  });
  check('limits that cannot be are refused', async (api) => {
    const id = await api.create({ HostConfig: { NanoCpus: 5e8 } });
    await api
      .post(`/containers/${id}/update`, { Memory: KILOBYTES })
      .is(400, { message: /^Minimum memory limit allowed is 6MB/ });
    await api
      .post(`/containers/${id}/update`, { CpuQuota: 50_000 })
      .is(409, { message: /CPU Quota cannot be updated as NanoCPUs has already been set$/ });
    await api
      .post('/containers/nope/update', { CpuShares: 512 })
      .is(404, { message: 'No such container: nope' });
  });
});
