import assert from 'node:assert/strict';

import { until } from '../daemons.ts';
import { type Api, type Json, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

const SECOND = 1e9;
/** With more time than a probe takes on the busiest host. */
const QUICK = { Interval: SECOND / 5, Timeout: 30 * SECOND, Retries: 2 };

const state = async (api: Api, id: string): Promise<Json> => api.get(`/containers/${id}/json`).is(200);

async function health(api: Api, id: string, wanted: string): Promise<void> {
  await until(
    `health ${wanted}`,
    async () => field(await state(api, id), 'State', 'Health', 'Status') === wanted,
  );
}

onEveryEngine('health', ({ check }) => {
  check('a probe that succeeds makes a container healthy, in inspect, list and filter', async (api) => {
    const id = await api.run('sleep 60', {
      Healthcheck: { ...QUICK, Test: ['CMD-SHELL', 'echo fine; echo well >&2'] },
    });
    await health(api, id, 'healthy');
    const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
    const found = await state(api, id);
    await api.get(`/containers/${id}/json`).is(200, { State: { Health: { FailingStreak: 0 } } });
    assert.match(field(found, 'State', 'Health', 'Log', 0, 'Start'), isTime);
    assert.equal(field(found, 'State', 'Health', 'Log', 0, 'ExitCode'), '0');
    assert.match(field(found, 'State', 'Health', 'Log', 0, 'Output'), /fine\n/);
    const filter = (value: string): string =>
      `/containers/json?filters=${encodeURIComponent(JSON.stringify({ health: [value], id: [id] }))}`;
    await api.get(filter('healthy')).is(200, [{ Id: id, Status: /^Up .* \(healthy\)$/ }]);
    await api.get(filter('none')).is(200, []);
  });
  check('a probe that fails makes it unhealthy after its retries', async (api) => {
    const id = await api.run('sleep 60', { Healthcheck: { ...QUICK, Test: ['CMD', 'sh', '-c', 'exit 3'] } });
    await health(api, id, 'unhealthy');
    const found = await state(api, id);
    assert.equal(field(found, 'State', 'Health', 'Log', 0, 'ExitCode'), '3');
    assert.ok(Number(field(found, 'State', 'Health', 'FailingStreak')) >= 2);
  });
  check('it is starting before its first probe, and without a probe it has no health', async (api) => {
    const slow = await api.run('sleep 60', { Healthcheck: { Test: ['CMD', 'true'], Interval: 60 * SECOND } });
    await api.get(`/containers/${slow}/json`).is(200, { State: { Health: { Status: 'starting' } } });
    await api
      .get(`/containers/json?filters=${encodeURIComponent(JSON.stringify({ id: [slow] }))}`)
      .is(200, [{ Status: /^Up .* \(health: starting\)$/ }]);
    const none = await api.run('sleep 60', { Healthcheck: { Test: ['NONE'] } });
    await api.get(`/containers/${none}/json`).is(200, { State: { Health: undefined } });
  });
  check('a probe is killed at its timeout', async (api) => {
    const id = await api.run('sleep 60', {
      Healthcheck: { Test: ['CMD', 'sleep', '20'], Interval: SECOND / 5, Timeout: SECOND / 2, Retries: 1 },
    });
    await health(api, id, 'unhealthy');
    const found = await state(api, id);
    assert.equal(field(found, 'State', 'Health', 'Log', 0, 'ExitCode'), '-1');
    assert.match(
      field(found, 'State', 'Health', 'Log', 0, 'Output'),
      /^Health check exceeded timeout \(500ms\)/,
    );
  });
  check('a program that is missing is a failed probe', async (api) => {
    const id = await api.run('sleep 60', {
      Healthcheck: { ...QUICK, Retries: 1, Test: ['CMD', '/no/such'] },
    });
    await health(api, id, 'unhealthy');
  });
  check('health and its probes are told as events', async (api) => {
    const since = Math.floor(Date.now() / 1000);
    const id = await api.run('sleep 60', { Healthcheck: { ...QUICK, Test: ['CMD-SHELL', 'true'] } });
    await health(api, id, 'healthy');
    const filters = encodeURIComponent(JSON.stringify({ container: [id] }));
    const until = (Date.now() / 1000 + 0.1).toFixed(3);
    const events = (await api
      .get(`/events?since=${since}&until=${until}&filters=${filters}`)
      .is(200)) as Json[];
    const actions = events.map((event) => field(event, 'Action'));
    for (const action of [
      'exec_create: /bin/sh -c true',
      'exec_start: /bin/sh -c true',
      'health_status: healthy',
    ])
      assert.ok(actions.includes(action), `${action} is not in ${actions.join(', ')}`);
    assert.ok(actions.includes('exec_die'));
  });
  check('a container that has ended is no longer probed', async (api) => {
    const id = await api.run('sleep 60', { Healthcheck: { ...QUICK, Test: ['CMD', 'true'] } });
    await health(api, id, 'healthy');
    await api.post(`/containers/${id}/stop?t=0`).is(204);
    await api.get(`/containers/${id}/json`).is(200, { State: { Health: { Status: 'unhealthy' } } });
  });
  check('times under a millisecond are refused', async (api) => {
    await api
      .post('/containers/create', {
        Image: 'busybox',
        Healthcheck: { Test: ['CMD', 'true'], Interval: 1000 },
      })
      .is(400, { message: 'Interval in Healthcheck cannot be less than 1ms' });
  });
});
