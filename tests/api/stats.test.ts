import { onEveryEngine } from './engines.ts';

const positive = (value: unknown): boolean => typeof value === 'number' && value > 0;
const counter = (value: unknown): boolean => typeof value === 'number' && value >= 0;
const TIME = /^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const NEVER = '0001-01-01T00:00:00Z';
const CPU = {
  cpu_usage: { total_usage: positive, usage_in_kernelmode: counter, usage_in_usermode: counter },
  system_cpu_usage: positive,
  online_cpus: positive,
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

onEveryEngine('stats', ({ check }) => {
  check('one sample has all that clients show', async (api) => {
    const id = await api.run('sleep 60', {}, 'used');
    await api.get(`/containers/${id}/stats?stream=0`).is(200, {
      id,
      name: '/used',
      read: TIME,
      preread: TIME,
      num_procs: 0,
      pids_stats: { current: positive },
      cpu_stats: CPU,
      precpu_stats: CPU,
      memory_stats: { usage: positive, limit: positive },
      networks: { eth0: { rx_bytes: counter, tx_bytes: counter, rx_dropped: 0, tx_errors: 0 } },
    });
  });
  check('a one-shot sample has nothing before it', async (api) => {
    const id = await api.run('sleep 60');
    await api.get(`/containers/${id}/stats?stream=0&one-shot=1`).is(200, {
      read: TIME,
      preread: NEVER,
      cpu_stats: CPU,
      precpu_stats: { cpu_usage: { total_usage: 0 } },
    });
  });
  check('a stopped container uses nothing', async (api) => {
    const id = await api.create({}, 'idle');
    await api.get(`/containers/${id}/stats?stream=0`).is(200, {
      id,
      name: '/idle',
      read: NEVER,
      cpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: {},
      networks: undefined,
    });
  });
  check('stats of no container, and a stream of one shot, are refused', async (api) => {
    await api.get('/containers/nope/stats?stream=0').is(404, { message: 'No such container: nope' });
    const id = await api.create();
    await api
      .get(`/containers/${id}/stats?stream=1&one-shot=1`)
      .is(400, { message: 'cannot have stream=true and one-shot=true' });
  });
  check('the stream goes on, each sample after the one before', async (api) => {
    const id = await api.run('sleep 60');
    const stream = await api.raw('GET', `/containers/${id}/stats`);
    await stream.has(/"preread":"0001[^]*"preread":"2/);
    stream.close();
  });
});
