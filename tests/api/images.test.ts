import assert from 'node:assert/strict';
import http from 'node:http';
import { gzipSync } from 'node:zlib';

import { request } from '../daemons.ts';
import { busyboxImage, dockerArchive, imageId, layeredImage } from '../test-images.ts';
import { tar } from '../tar-writer.ts';
import { onEveryEngine } from './engines.ts';

const DIGEST = /^sha256:[0-9a-f]{64}$/;

onEveryEngine('images', ({ check }) => {
  check('list', async (api) => {
    await api.get('/images/json').is(200, (list) => {
      const tags = (list as { RepoTags: string[] }[]).flatMap((image) => image.RepoTags);
      return tags.includes('busybox:latest') && tags.includes('layered:v1');
    });
    const reference = encodeURIComponent(JSON.stringify({ reference: ['layer*'] }));
    await api.get(`/images/json?filters=${reference}`).is(200, [
      {
        Id: imageId(layeredImage()),
        RepoTags: ['layered:v1'],
        Created: 1_704_164_645,
        Size: (size) => Number(size) > 1e6,
        Labels: { stage: 'image' },
        ParentId: '',
        SharedSize: -1,
        Containers: -1,
      },
    ]);
  });
  check('inspect has the configuration of a container, which older clients read', async (api) => {
    await api.get('/images/busybox/json').is(200, {
      Container: '',
      ContainerConfig: { Hostname: '', AttachStdin: false, Cmd: null, Volumes: null, Labels: null },
    });
    const compose = { headers: { 'User-Agent': 'docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1' } };
    const { body } = await request(api.socket, 'GET', '/images/busybox/json', compose);
    assert.deepEqual(JSON.parse(body.toString()).ContainerConfig.Volumes, null);
  });
  check('list filters', async (api) => {
    const query = (filters: Record<string, string[]>): string =>
      `/images/json?filters=${encodeURIComponent(JSON.stringify(filters))}`;
    await api.get(query({ label: ['stage=image'] })).is(200, [{ RepoTags: ['layered:v1'] }]);
    await api.get(query({ label: ['stage=other'] })).is(200, []);
    await api.get(query({ dangling: ['true'] })).is(200, []);
    await api.get(query({ reference: ['busybox:latest'] })).is(200, [{ RepoTags: ['busybox:latest'] }]);
    await api.get(query({ nosuch: ['x'] })).is([400, 500], { message: /invalid filter 'nosuch'/i });
  });
  check('inspect', async (api) => {
    await api.get('/images/layered:v1/json').is(200, {
      Id: imageId(layeredImage()),
      RepoTags: ['layered:v1'],
      Created: '2024-01-02T03:04:05.678Z',
      Author: 'tests',
      Architecture: /^(amd64|arm64)$/,
      Os: 'linux',
      Size: (size) => Number(size) > 1e6,
      RootFS: { Type: 'layers', Layers: [DIGEST, DIGEST, DIGEST] },
      Config: {
        Cmd: ['one', 'two'],
        Entrypoint: ['/app/run'],
        User: 'alice',
        WorkingDir: '/app',
        StopSignal: 'SIGQUIT',
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
        Volumes: { '/data': {} },
        Env: [/^PATH=/, 'COLOR=blue'],
      },
    });
    const id = imageId(busyboxImage());
    await api.get(`/images/${id}/json`).is(200, { Id: id });
    await api.get(`/images/${id.slice(7, 19)}/json`).is(200, { Id: id });
    await api.get('/images/docker.io/library/busybox/json').is(200, { Id: id });
    await api.get('/images/nope/json').is(404, { message: /No such image: nope/ });
  });
  check('history', async (api) => {
    await api.get('/images/layered:v1/history').is(200, [
      {
        Id: imageId(layeredImage()),
        CreatedBy: 'layer 2',
        Tags: ['layered:v1'],
        Comment: '',
        Size: (size) => Number(size) >= 0,
      },
      { Id: '<missing>', CreatedBy: 'layer 1', Tags: null },
      { Id: '<missing>', CreatedBy: 'layer 0', Size: (size) => Number(size) > 1e6 },
    ]);
    await api.get('/images/nope/history').is(404);
  });
  check('tag, and remove of a tag', async (api) => {
    await api.post('/images/busybox/tag?repo=example.org/team/thing&tag=v2').is(201);
    await api
      .get('/images/example.org/team/thing:v2/json')
      .is(200, { RepoTags: ['busybox:latest', 'example.org/team/thing:v2'] });
    await api
      .delete('/images/example.org/team/thing:v2')
      .is(200, [{ Untagged: 'example.org/team/thing:v2' }]);
    await api.get('/images/example.org/team/thing:v2/json').is(404);
    await api.post('/images/nope/tag?repo=x').is(404, { message: /No such image: nope/ });
    await api
      .post('/images/busybox/tag?repo=Not%20Valid')
      .is([400, 500], { message: /invalid reference format/ });
    await api
      .post('/images/busybox/tag?repo=UPPER')
      .is([400, 500], { message: /repository name .*must be lowercase/ });
  });
  check('a loaded image is removed with its layers', async (api) => {
    const image = { ...layeredImage('gone:v1'), config: { Cmd: ['gone'] } };
    const stream = await api.post('/images/load?quiet=1', dockerArchive([image])).is(200);
    assert.match(JSON.stringify(stream), /Loaded image: gone:v1/);
    await api.delete('/images/gone:v1').is(200, [{ Untagged: 'gone:v1' }, { Deleted: imageId(image) }]);
    await api.get('/images/gone:v1/json').is(404);
    await api.delete('/images/gone:v1').is(404, { message: /No such image: gone:v1/ });
  });
  check('load: a quiet answer begins when the image is there', async (api) => {
    const archive = dockerArchive([busyboxImage('quiet:v1')]);
    const options = { socketPath: api.socket, method: 'POST', path: '/images/load?quiet=1' };
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.request(options, resolve).on('error', reject).end(archive);
    });
    await api.get('/images/quiet:v1/json').is(200);
    response.destroy();
    await api.delete('/images/quiet:v1').is(200);
  });
  check('load takes a compressed archive', async (api) => {
    const image = busyboxImage('squeezed:v1');
    await api.post('/images/load?quiet=1', gzipSync(dockerArchive([image]), { level: 1 })).is(200);
    await api.delete('/images/squeezed:v1').is(200, [{ Untagged: 'squeezed:v1' }]);
  });
  check('save gives an archive that loads to the same ids', async (api) => {
    const saved = await api.get('/images/layered:v1/get').reply();
    assert.equal(saved.status, 200);
    assert.equal(saved.headers['content-type'], 'application/x-tar');
    const names = namesIn(saved.body);
    assert.ok(names.includes('manifest.json'), names.join(' '));
    await api.delete('/images/layered:v1').is(200);
    await api.post('/images/load?quiet=1', saved.body).is(200);
    await api.get('/images/layered:v1/json').is(200, { Id: imageId(layeredImage()) });
  });
  check('a platform that the image does not have is not found', async (api) => {
    const platform = (architecture: string): string =>
      encodeURIComponent(JSON.stringify({ os: 'linux', architecture, variant: '' }));
    const ours = platform(process.arch === 'x64' ? 'amd64' : process.arch);
    const other = platform('s390x');
    const message =
      /image with reference .* was found but does not provide the specified platform \(linux\/s390x\)/;
    await api.get(`/!images/busybox/json?platform=${ours}`).is(200);
    await api.get(`/!images/busybox/history?platform=${ours}`).is(200);
    for (const route of ['busybox/json?platform', 'busybox/history?platform', 'busybox/get?platform']) {
      await api.get(`/!images/${route}=${other}`).is(404, { message });
    }
    await api.get(`/!images/get?names=busybox&platform=${other}`).is(404, { message });
    await api.delete(`/!images/busybox?platforms=${ours}&platforms=${other}`).is(404, { message });
    await api.get('/!images/busybox/json?platform=linux%2Famd64').is(400);
    await api
      .get('/!images/busybox/json?platform=%7B%22os%22%3A%22linux%22%7D')
      .is(400, { message: 'both OS and Architecture must be provided' });
    await api
      .get(`/!images/busybox/json?manifests=1&platform=${ours}`)
      .is(400, { message: /conflicting options/ });

    const archive = dockerArchive([busyboxImage()]);
    await api.post(`/!images/load?quiet=1&platform=${ours}`, archive).is(200, {
      stream: 'Loaded image: busybox:latest\n',
    });
    await api.post(`/!images/load?quiet=1&platform=${other}`, archive).is(200, { error: message });
    // To clients of before the parameter it means nothing.
    await api.get(`/v1.47/images/busybox/json?platform=${other}`).is(200);
  });
  check('save of several', async (api) => {
    const saved = await api.get('/images/get?names=busybox&names=layered:v1').reply();
    assert.equal(saved.status, 200);
    assert.ok(saved.body.includes('busybox:latest') && saved.body.includes('layered:v1'));
    await api
      .get('/images/get?names=nope')
      .is(404, { message: /No such image: nope|reference does not exist/ });
  });
  check('layers stack: whiteouts, an opaque directory, changed files', async (api) => {
    const { stdout, stderr } = await api.output('cd /; cat app/changed; ls app opaque; cat app/removed', {
      Image: 'layered:v1',
      Entrypoint: [],
    });
    assert.equal(stdout, 'after\napp:\nchanged\nkept\nrun\n\nopaque:\nnew\n');
    assert.match(stderr, /app\/removed.*No such file/);
  });
  check('config of the image reaches the container', async (api) => {
    const id = await api.create({ Image: 'layered:v1', Labels: { stage: 'container' }, Env: ['MORE=1'] });
    await api.get(`/containers/${id}/json`).is(200, {
      Path: '/app/run',
      Args: ['one', 'two'],
      Config: {
        User: 'alice',
        WorkingDir: '/app',
        Env: ['MORE=1', /^PATH=/, 'COLOR=blue'],
        Labels: { stage: 'container', 'org.example.role': 'test' },
        StopSignal: 'SIGQUIT',
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      },
    });
  });
  check('import makes an image of a bare tar, with changes', async (api) => {
    const root = tar([{ name: 'hello', data: 'hi\n' }]);
    const changes = ['CMD ["/hello"]', 'ENV A=b', 'EXPOSE 8080']
      .map((change) => `changes=${encodeURIComponent(change)}`)
      .join('&');
    const stream = await api
      .post(`/images/create?fromSrc=-&repo=bare&tag=v1&message=made&${changes}`, root)
      .is(200);
    assert.match(JSON.stringify(stream), /sha256:[0-9a-f]{64}/);
    await api.get('/images/bare:v1/json').is(200, {
      RepoTags: ['bare:v1'],
      Comment: 'made',
      Config: {
        Cmd: ['/hello'],
        Env: (env) => (env as string[]).includes('A=b'),
        ExposedPorts: { '8080/tcp': {} },
      },
    });
    await api
      .delete('/images/bare:v1')
      .is(200, [{ Untagged: 'bare:v1' }, { Deleted: DIGEST }, { Deleted: DIGEST }]);
  });
  check('an image in use is not removed', async (api) => {
    await api.post('/images/busybox/tag?repo=used&tag=v1').is(201);
    const id = await api.create({ Image: 'layered:v1' });
    await api.delete('/images/layered:v1').is(409, {
      message: new RegExp(
        `conflict: unable to remove repository reference "layered:v1" \\(must force\\) - container ${id.slice(0, 12)} is using its referenced image ${imageId(layeredImage()).slice(7, 19)}`,
      ),
    });
    await api.delete('/images/used:v1').is(200);
    const several = imageId(busyboxImage());
    await api.post('/images/busybox/tag?repo=second&tag=v1').is(201);
    await api
      .delete(`/images/${several.slice(7, 19)}`)
      .is(409, { message: /image is referenced in multiple repositories/ });
    await api.delete('/images/second:v1').is(200);
  });
  check('broken archives are refused and leave nothing', async (api) => {
    const count = async (): Promise<number> => ((await api.get('/images/json').is(200)) as unknown[]).length;
    const before = await count();
    await api
      .post('/images/load?quiet=1', tar([{ name: 'manifest.json', data: 'not json' }]))
      .is(200, { errorDetail: { message: /invalid character|is not JSON/i } });
    const archive = dockerArchive([busyboxImage('cut:v1')]);
    const cut = await api.post('/images/load?quiet=1', archive.subarray(0, archive.length / 2)).reply();
    assert.ok(
      cut.status >= 400 || /error/i.test(cut.body.toString()),
      `${cut.status} ${cut.body.toString()}`,
    );
    await api.get('/images/cut:v1/json').is(404);
    assert.equal(await count(), before);
  });
  check('a layer that lies about its digest is refused', async (api) => {
    const archive = dockerArchive([
      { tags: ['lie:v1'], layers: [[{ name: 'file', data: 'the truth\n' }]], config: { Cmd: ['lie'] } },
    ]);
    archive.write('a lie    ', archive.indexOf('the truth'));
    const reply = await api.post('/images/load?quiet=1', archive).reply();
    const said = `${reply.status} ${reply.body.toString()}`;
    assert.ok(reply.status >= 400 || /error/i.test(said), said);
    await api.get('/images/lie:v1/json').is(404);
  });
});

function namesIn(archive: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at + 512 <= archive.length;) {
    const name = archive.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    if (name === '') break;
    names.push(name);
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return names;
}
