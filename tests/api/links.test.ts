import assert from 'node:assert/strict';

import { type Api, field, type Json } from './client.ts';
import { onEveryEngine } from './engines.ts';

const link = (...links: string[]): Record<string, unknown> => ({ HostConfig: { Links: links } });

async function address(api: Api, id: string): Promise<string> {
  return field(await api.get(`/containers/${id}/json`).is(200), 'NetworkSettings', 'IPAddress');
}

async function hostsOf(api: Api, id: string): Promise<string> {
  const exec = await api
    .post(`/containers/${id}/exec`, { Cmd: ['cat', '/etc/hosts'], AttachStdout: true, Tty: true })
    .is(201);
  const { body } = await api.post(`/exec/${field(exec, 'Id')}/start`, { Tty: true }).reply();
  return body.toString().replaceAll('\r', '');
}

onEveryEngine('links', ({ check }) => {
  check('a linked container is known by alias, host name and name, and by variables', async (api) => {
    const db = await api.run(
      'sleep 60',
      { Env: ['COLOUR=blue'], ExposedPorts: { '80/tcp': {}, '81/tcp': {} }, Hostname: 'dbhost' },
      'db',
    );
    const ip = await address(api, db);
    const { stdout } = await api.output('cat /etc/hosts; env', link('db:my-store'));
    assert.match(stdout, new RegExp(`^${ip}\tmy-store dbhost db$`, 'm'));
    for (const variable of [
      `MY_STORE_PORT=tcp://${ip}:80`,
      `MY_STORE_PORT_81_TCP_ADDR=${ip}`,
      'MY_STORE_ENV_COLOUR=blue',
    ])
      assert.ok(stdout.includes(`${variable}\n`), `${variable}\n${stdout}`);
  });
  check('the alias is a name of the other container', async (api) => {
    const target = await api.run('sleep 60', {}, 'target');
    const parent = await api.create(link('target:t'), 'parent');
    await api.get('/containers/parent/t/json').is(200, { Id: target });
    await api.get(`/containers/${parent}/json`).is(200, { HostConfig: { Links: ['/target:/parent/t'] } });
    const list = (await api.get('/containers/json').is(200)) as { Id: string; Names: string[] }[];
    const names = list.find(({ Id }) => Id === target)?.Names.toSorted();
    assert.deepEqual(names, ['/parent/t', '/target']);
    await api.delete('/containers/parent/t?link=1').is(204);
    await api.get('/containers/parent/t/json').is(404, { message: 'No such container: parent/t' });
    await api.get(`/containers/${parent}/json`).is(200, { HostConfig: { Links: null } });
    await api
      .delete('/containers/target?link=1')
      .is([409, 500], { message: 'Conflict, cannot remove the default link name of the container' });
  });
  check('a container that comes back with another address is found again', async (api) => {
    const target = await api.run('sleep 60', {}, 'mover');
    const before = await address(api, target);
    const parent = await api.run('sleep 60', link('mover:m'), 'watcher');
    assert.match(await hostsOf(api, parent), new RegExp(`^${before}\tm `, 'm'));
    await api.post(`/containers/${target}/stop?t=0`).is(204);
    await api.run('sleep 60', {}, 'squatter');
    await api.post(`/containers/${target}/start`).is(204);
    assert.match(await hostsOf(api, parent), new RegExp(`^${await address(api, target)}\tm `, 'm'));
  });
  check('what cannot be linked to is refused', async (api) => {
    const refused = (body: object, message: string | RegExp): Promise<Json> =>
      api.post('/containers/create', { Image: 'busybox', ...body }).is([400, 404, 500], { message });
    await refused(link('nope'), 'could not get container for nope: No such container: nope');
    await refused(link('a:b:c'), /bad format for links: a:b:c/);
    await api.create({ HostConfig: { NetworkMode: 'host' } }, 'hosted');
    const conflict = /^conflicting options: host type networking can't be used with links\./;
    await refused(link('hosted'), conflict);
    await refused({ HostConfig: { NetworkMode: 'host', Links: ['hosted'] } }, conflict);
    await refused(
      { HostConfig: { NetworkMode: 'container:hosted', Links: ['hosted'] } },
      /^conflicting options: container type network can't be used with links\./,
    );
  });
  check('a link to what does not run, or is gone, fails the start', async (api) => {
    await api.create({}, 'still');
    const parent = await api.create(link('still:s'), 'early');
    const message = 'Cannot link to a non running container: /still AS /early/s';
    await api.post(`/containers/${parent}/start`).is([400, 409, 500], { message });
    await api.delete('/containers/still').is(204);
    await api.post(`/containers/${parent}/start`).is([400, 409, 500], { message });
    await api.get(`/containers/${parent}/json`).is(200, { HostConfig: { Links: ['/still:/early/s'] } });
  });
});
