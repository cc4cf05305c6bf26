import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { field } from './client.ts';
import { onEveryEngine } from './engines.ts';

onEveryEngine('volumes', ({ check }) => {
  check('create, inspect, list, remove', async (api) => {
    const made = await api.post('/volumes/create', { Name: 'first', Labels: { a: 'b' } }).is(201, {
      Name: 'first',
      Driver: 'local',
      Scope: 'local',
      Labels: { a: 'b' },
      Options: (options) => options === null || JSON.stringify(options) === '{}',
      Mountpoint: /\/volumes\/first\/_data$/,
      CreatedAt: /^\d{4}-\d\d-\d\dT/,
    });
    assert.ok(existsSync(field(made, 'Mountpoint')));
    await api.post('/volumes/create', { Name: 'first' }).is(201, { Name: 'first' });
    await api.get('/volumes/first').is(200, { Name: 'first', Labels: { a: 'b' } });
    await api.get('/volumes').is(200, { Volumes: [{ Name: 'first' }], Warnings: null });
    await api.delete('/volumes/first').is(204);
    await api.get('/volumes/first').is(404, { message: /no such volume/i });
    await api.delete('/volumes/first').is(404, { message: /no such volume/i });
    await api.delete('/volumes/first?force=1').is(204);
    assert.ok(!existsSync(field(made, 'Mountpoint')));
  });
  check('a volume without a name gets one', async (api) => {
    const made = await api.post('/volumes/create', {}).is(201, { Name: /^[0-9a-f]{64}$/ });
    await api.delete(`/volumes/${field(made, 'Name')}`).is(204);
  });
  check('bad names, drivers and options are refused', async (api) => {
    await api
      .post('/volumes/create', { Name: 'a/b' })
      .is(400, { message: /includes invalid characters for a local volume name/ });
    await api
      .post('/volumes/create', { Name: 'x1', Driver: 'nosuch' })
      .is([404, 400, 500], { message: /nosuch/ });
    await api
      .post('/volumes/create', { Name: 'x2', DriverOpts: { nosuch: '1' } })
      .is([400, 500, 501], { message: /option/i });
  });
  check('filters', async (api) => {
    await api.post('/volumes/create', { Name: 'alpha', Labels: { k: '1' } }).is(201);
    await api.post('/volumes/create', { Name: 'beta' }).is(201);
    const query = (filters: Record<string, string[]>): string =>
      `/volumes?filters=${encodeURIComponent(JSON.stringify(filters))}`;
    await api.get(query({ name: ['alp'] })).is(200, { Volumes: [{ Name: 'alpha' }] });
    await api.get(query({ label: ['k'] })).is(200, { Volumes: [{ Name: 'alpha' }] });
    await api.get(query({ driver: ['local'], name: ['beta'] })).is(200, { Volumes: [{ Name: 'beta' }] });
    await api.run('sleep 600', { HostConfig: { Binds: ['beta:/b'] } });
    await api.get(query({ dangling: ['true'] })).is(200, { Volumes: [{ Name: 'alpha' }] });
    await api.get(query({ dangling: ['false'] })).is(200, { Volumes: [{ Name: 'beta' }] });
    await api.get(query({ nosuch: ['x'] })).is(400, { message: /invalid filter 'nosuch'/i });
    await api.delete('/volumes/alpha').is(204);
    await api
      .delete('/volumes/beta')
      .is(409, { message: /remove beta: volume is in use - \[[0-9a-f]{64}\]/ });
  });
  check('a named volume keeps what is written, and is made on first use', async (api) => {
    await api.output('echo kept > /v/file', { HostConfig: { Binds: ['keeper:/v'] } });
    assert.equal(
      (await api.output('cat /v/file', { HostConfig: { Binds: ['keeper:/v:ro'] } })).stdout,
      'kept\n',
    );
    await api.delete('/volumes/keeper').is(204);
  });
  check('a file of the host is mounted read-only', async (api, daemon) => {
    const file = path.join(daemon.directory, 'file');
    writeFileSync(file, 'of the host\n');
    const { stdout, stderr } = await api.output('cat /file /etc/passwd; echo x > /file', {
      HostConfig: { Binds: [`${file}:/file:ro`, `${file}:/etc/passwd:ro`] },
    });
    assert.equal(stdout, 'of the host\nof the host\n');
    assert.match(stderr, /Read-only file system/);
  });
  check('copy-up: what the image holds there, with owners and modes', async (api) => {
    const body = { Image: 'layered:v1', Entrypoint: [], User: '0' };
    const first = await api.output('cat /data/seed; stat -c "%U %a" /data; echo more > /data/more', {
      ...body,
      HostConfig: { Binds: ['copied:/data'] },
    });
    assert.equal(first.stdout, 'seeded\nalice 750\n');
    const second = await api.output('ls /data', { ...body, HostConfig: { Binds: ['copied:/data'] } });
    assert.equal(second.stdout, 'more\nseed\n');
    const none = await api.output('ls -A /data', {
      ...body,
      HostConfig: {
        Mounts: [{ Type: 'volume', Source: 'plain', Target: '/data', VolumeOptions: { NoCopy: true } }],
      },
    });
    assert.equal(none.stdout, '');
    await api.delete('/volumes/copied').is(204);
    await api.delete('/volumes/plain').is(204);
  });
  check("the image's volumes are anonymous and go with v=1", async (api) => {
    const id = await api.create({ Image: 'layered:v1' });
    const container = await api.get(`/containers/${id}/json`).is(200, {
      Mounts: [
        { Type: 'volume', Name: /^[0-9a-f]{64}$/, Destination: '/data', Driver: 'local', RW: true, Mode: '' },
      ],
    });
    const name = field(container, 'Mounts', 0, 'Name');
    await api.get(`/volumes/${name}`).is(200);
    await api.delete(`/containers/${id}?v=1`).is(204);
    await api.get(`/volumes/${name}`).is(404);
  });
  check('a named volume stays with v=1', async (api) => {
    const id = await api.create({ HostConfig: { Binds: ['stays:/v'] } });
    await api
      .get(`/containers/${id}/json`)
      .is(200, { Mounts: [{ Type: 'volume', Name: 'stays', Destination: '/v', Mode: 'z', RW: true }] });
    await api.delete(`/containers/${id}?v=1`).is(204);
    await api.get('/volumes/stays').is(200);
    await api.delete('/volumes/stays').is(204);
  });
  check("another container's volumes", async (api) => {
    const first = await api.run('echo shared > /v/file; echo done; sleep 600', {
      HostConfig: { Binds: ['lent:/v'] },
    });
    await api.spoke(first);
    assert.equal(
      (await api.output('cat /v/file', { HostConfig: { VolumesFrom: [first] } })).stdout,
      'shared\n',
    );
    const { stderr } = await api.output('touch /v/x', { HostConfig: { VolumesFrom: [`${first}:ro`] } });
    assert.match(stderr, /Read-only/);
    await api.delete(`/containers/${first}?force=1`).is(204);
    await api.delete('/volumes/lent').is(204);
  });
  check('prune', async (api) => {
    await api.post('/volumes/create', {}).is(201);
    await api.post('/volumes/prune').is(200, {
      VolumesDeleted: (names) => Array.isArray(names) && names.length >= 1,
      SpaceReclaimed: (size) => Number.isInteger(size),
    });
  });
});
