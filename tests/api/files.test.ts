import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { until } from '../daemons.ts';
import { tar } from '../tar-writer.ts';
import { type Api, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

const archive = (id: string, path: string, more = ''): string =>
  `/containers/${id}/archive?path=${encodeURIComponent(path)}${more}`;

const names = (body: Buffer): string[] =>
  execFileSync('tar', ['-tP'], { input: body, encoding: 'utf8', timeout: 5000 }).trimEnd().split('\n');

async function statOf(api: Api, id: string, path: string): Promise<Record<string, unknown>> {
  const { status, headers } = await api.head(archive(id, path)).reply();
  assert.equal(status, 200);
  const header = String(headers['x-docker-container-path-stat']);
  return JSON.parse(Buffer.from(header, 'base64').toString()) as Record<string, unknown>;
}

onEveryEngine('files', ({ check }) => {
  for (const state of ['stopped', 'running']) {
    const make = async (api: Api, line: string, body: Record<string, unknown> = {}): Promise<string> => {
      if (state === 'running') {
        const id = await api.run(`${line}; touch /ready; exec sleep 600`, body);
        for (let i = 0; i < 100; i++) {
          if ((await api.head(archive(id, '/ready')).reply()).status === 200) break;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return id;
      }
      const id = await api.run(line, body);
      await api.post(`/containers/${id}/wait`).is(200);
      return id;
    };

    check(`stat of a ${state} container's paths`, async (api) => {
      const id = await make(
        api,
        'echo four >/f; chmod 4750 /f; ln -s f /l; ln -s / /top; ln -s ../../../up /tmp/l',
      );
      const { mtime, ...file } = await statOf(api, id, '/f');
      assert.match(String(mtime), /^\d{4}-.*\d[Z+-]/);
      assert.deepEqual(file, { name: 'f', size: 5, mode: 0x800000 + 0o750, linkTarget: '' });
      const link = await statOf(api, id, '/l');
      assert.deepEqual([link['name'], link['linkTarget']], ['l', '/f']);
      assert.equal((await statOf(api, id, 'top/etc/'))['name'], 'etc');
      assert.equal((await statOf(api, id, '/tmp'))['mode'], 0x80000000 + 0x100000 + 0o777);
      assert.equal((await statOf(api, id, '/tmp/l'))['linkTarget'], '/up');
      await api
        .get(archive(id, '/none'))
        .is(404, { message: `Could not find the file /none in container ${id}` });
      await api.head(archive(id, '/none')).is(404);
    });

    check(`read from a ${state} container`, async (api) => {
      const id = await make(api, 'mkdir -p /d/sub; echo x >/d/sub/file; ln -s /d /ld');
      const read = async (path: string): Promise<string[]> =>
        names((await api.get(archive(id, path)).reply()).body);
      assert.deepEqual(await read('/d'), ['d/', 'd/sub/', 'd/sub/file']);
      assert.deepEqual(await read('/d/.'), ['./', './sub/', './sub/file']);
      assert.deepEqual(await read('/d/sub/file'), ['file']);
      assert.deepEqual(await read('/ld'), ['ld']);
      assert.deepEqual(await read('/ld/'), ['ld/', 'ld/sub/', 'ld/sub/file']);
      assert.ok((await read('/')).includes('/etc/passwd'));
    });

    check(`write into a ${state} container`, async (api) => {
      const id = await make(api, 'mkdir /in; ln -s /in /li; mkdir /in/kept; ln -s /etc /in/out');
      await api
        .put(
          archive(id, '/li'),
          tar([
            { name: 'a', data: 'A', mode: 0o640, uid: 1000 },
            { name: 'out/b', data: 'B' },
          ]),
        )
        .is(200);
      assert.deepEqual(names((await api.get(archive(id, '/in')).reply()).body), [
        'in/',
        'in/a',
        'in/kept/',
        'in/out',
      ]);
      assert.equal((await statOf(api, id, '/etc/b'))['size'], 1);
      await api
        .put(archive(id, '/in/a'), tar([]))
        .is([400, 500], { message: /extraction point is not a directory/ });
      await api.put(archive(id, '/none'), tar([])).is(404, { message: /Could not find the file \/none/ });
      await api
        .put(archive(id, '/in', '&noOverwriteDirNonDir=true'), tar([{ name: 'kept', data: '' }]))
        .is([400, 500], { message: /cannot overwrite directory "\/in\/kept" with non-directory/ });
    });

    check(`volumes of a ${state} container are seen, and read-only is read-only`, async (api) => {
      await api.post('/volumes/create', { Name: `filed-${state}` }).is(201);
      const id = await make(api, 'echo v >/v/file', {
        HostConfig: { Binds: [`filed-${state}:/v`, `filed-${state}:/ro:ro`] },
      });
      assert.equal((await statOf(api, id, '/v/file'))['size'], 2);
      await api.put(archive(id, '/v'), tar([{ name: 'new', data: 'xyz' }])).is(200);
      assert.equal((await statOf(api, id, '/ro/new'))['size'], 3);
      await api.put(archive(id, '/ro'), tar([])).is([400, 403, 500], { message: /marked read-only/ });
      await api.delete(`/containers/${id}?force=1`).is(204);
      await api.delete(`/volumes/filed-${state}`).is(204);
    });

    check(`changes of a ${state} container`, async (api) => {
      const id = await make(
        api,
        'mkdir /new; echo >/new/f; rm /etc/shadow; echo >>/etc/group; chmod 755 /etc/passwd',
      );
      const changes = (await api.get(`/containers/${id}/changes`).is(200)) as {
        Path: string;
        Kind: number;
      }[];
      assert.deepEqual(
        changes
          .filter(({ Path }) => Path !== '/ready')
          .map(({ Path, Kind }) => `${Kind} ${Path}`)
          .toSorted(),
        ['0 /etc', '0 /etc/group', '0 /etc/passwd', '1 /new', '1 /new/f', '2 /etc/shadow'],
      );
    });
  }

  check('nothing changed is null', async (api) => {
    const id = await api.create();
    assert.equal((await statOf(api, id, '/etc/hosts'))['size'], 0);
    assert.equal((await statOf(api, id, '/etc/mtab'))['linkTarget'], '/proc/mounts');
    await api.get(`/containers/${id}/changes`).is(200, (value) => value === null);
    await statOf(api, await api.run('sleep 600'), '/etc/mtab');
    await api.get('/containers/none/changes').is(404, { message: 'No such container: none' });
  });

  check('a read-only root is not written to', async (api) => {
    const id = await api.run('sleep 600', { HostConfig: { ReadonlyRootfs: true } });
    await api
      .put(archive(id, '/'), tar([]))
      .is([400, 403, 500], { message: /container rootfs is marked read-only/ });
  });

  check('a path that turns into a link while it is copied never leads to the host', async (api, daemon) => {
    const outside = path.join(daemon.directory, 'outside');
    mkdirSync(path.join(outside, 'deep'), { recursive: true });
    writeFileSync(path.join(outside, 'deep/secret'), 'of the host');
    const swaps = `mkdir -p /w/d/deep; echo ours >/w/d/deep/secret; touch /ready
      while :; do mv /w/d /w/e; ln -s ${outside} /w/d; rm /w/d; mv /w/e /w/d; done`;
    const id = await api.run(swaps);
    await until(
      'the container is at it',
      async () => (await api.head(archive(id, '/ready')).reply()).status === 200,
    );
    let seen = 0;
    for (let i = 0; i < 60 || (seen === 0 && i < 600); i++) {
      const get = await api.get(archive(id, '/w/d/deep')).reply();
      assert.ok(!get.body.includes('of the host'));
      const put = await api.put(archive(id, '/w/d/deep'), tar([{ name: 'planted', data: 'x' }])).reply();
      if (get.status === 200 && put.status === 200) seen++;
    }
    assert.deepEqual(readdirSync(path.join(outside, 'deep')), ['secret']);
    assert.ok(seen > 0, 'the path was there at times');
  });

  check('a large upload that is refused, at once or half-way, says why', async (api) => {
    const id = await api.create();
    const big = { name: 'big', data: 'x'.repeat(8 << 20) };
    await api.put(archive('none', '/tmp'), tar([big])).is(404, { message: 'No such container: none' });
    await api.put(archive(id, '/nowhere'), tar([big])).is(404, { message: /Could not find the file/ });
    const clash = tar([{ name: 'etc', data: 'x' }, big]);
    await api
      .put(archive(id, '/', '&noOverwriteDirNonDir=true'), clash)
      .is([400, 500], { message: /cannot overwrite directory "\/etc" with non-directory/ });
    await api.put(archive(id, '/tmp'), tar([big])).is(200);
  });

  check('what a read-only root does not take, its mounts do', async (api) => {
    const id = await api.run('sleep 600', {
      HostConfig: { ReadonlyRootfs: true, Binds: ['taken:/v'], Tmpfs: { '/scratch': '' } },
    });
    const put = (place: string): ReturnType<Api['put']> =>
      api.put(archive(id, place), tar([{ name: 'f', data: 'x' }]));
    await put('/v').is(200);
    await put('/etc').is([400, 403, 500], { message: /container rootfs is marked read-only/ });
    await api.post(`/containers/${id}/stop?t=0`).is(204);
    await put('/v').is(200);
    await put('/scratch').is([400, 403, 500], { message: /container rootfs is marked read-only/ });
    await api.delete(`/containers/${id}`).is(204);
    await api.delete('/volumes/taken').is(204);
  });

  check('what the engine makes in a root filesystem is as Docker makes it', async (api) => {
    const id = await api.run('exec sleep 600', {
      HostConfig: { Binds: ['made:/a/b'], Tmpfs: { '/t': '' } },
    });
    const { body } = await api.get(`/containers/${id}/export`).reply();
    const lines = execFileSync('tar', ['-tv', '--numeric-owner'], {
      input: body,
      encoding: 'utf8',
      timeout: 5000,
    });
    const found = lines.split('\n').map((line) => line.split(/ +/));
    for (const [name, mode] of [
      ['.dockerenv', '-rwxr-xr-x'],
      ['etc/hostname', '-rwxr-xr-x'],
      ['etc/resolv.conf', '-rwxr-xr-x'],
      ['etc/mtab', 'lrwxrwxrwx'],
      ['a/b/', 'drwxr-xr-x'],
      ['t/', 'drwxr-xr-x'],
    ] as const) {
      assert.deepEqual(
        found.filter((fields) => fields[5] === name).map((fields) => fields[0]),
        [mode],
        name,
      );
    }
    await api.delete(`/containers/${id}?force=1`).is(204);
    await api.delete('/volumes/made').is(204);
  });

  check('commit changes the container’s own configuration when the request brings none', async (api) => {
    const id = await api.create({ Env: ['A=1', 'B=2'], WorkingDir: '/srv', Cmd: ['echo', 'old'] });
    const changed = async (...changes: string[]): Promise<Record<string, unknown>> => {
      const query = changes.map((change) => `&changes=${encodeURIComponent(change)}`).join('');
      const image = field(await api.post(`/commit?container=${id}${query}`).is(201), 'Id');
      const { Config } = (await api.get(`/images/${image}/json`).is(200)) as {
        Config: Record<string, unknown>;
      };
      await api.delete(`/images/${image}`).is(200);
      return Config;
    };
    const config = await changed('WORKDIR down', 'ENV C=3 A=9');
    assert.equal(config['WorkingDir'], '/srv/down');
    assert.deepEqual(
      (config['Env'] as string[]).filter((entry) => !entry.startsWith('PATH=')),
      ['A=9', 'B=2', 'C=3'],
    );
    assert.deepEqual(config['Cmd'], ['echo', 'old']);
    assert.equal((await changed('ENTRYPOINT ["/init"]'))['Cmd'] ?? null, null);
    assert.deepEqual((await changed('ENTRYPOINT ["/init"]', 'CMD ["a"]'))['Cmd'], ['a']);
  });

  check('export leaves volumes out', async (api) => {
    const id = await api.run('echo x >/mine; echo v >/v/file; echo done; exec sleep 600', {
      Volumes: { '/v': {} },
    });
    await api.spoke(id);
    const found = names((await api.get(`/containers/${id}/export`).reply()).body);
    assert.ok(found.includes('mine') && found.includes('v/') && found.includes('bin/busybox'));
    assert.ok(!found.includes('v/file'));
  });

  check('commit makes an image of what a container wrote', async (api) => {
    const id = await api.run('echo said >/kept; rm /etc/shadow; echo done; exec sleep 600', { Env: ['A=1'] });
    await api.spoke(id);
    const query = `container=${id}&repo=made&tag=v1&author=me&comment=why&changes=${encodeURIComponent('CMD ["cat","/kept"]')}`;
    const image = field(await api.post(`/commit?${query}`, {}).is(201), 'Id');
    assert.match(image, /^sha256:/);
    await api.get('/images/made:v1/json').is(200, {
      Id: image,
      Author: 'me',
      Comment: 'why',
      Config: { Cmd: ['cat', '/kept'], Env: (env) => Array.isArray(env) && env.includes('A=1') },
    });
    const ran = await api.output('cat /kept; ls /etc/shadow', { Image: 'made:v1' });
    assert.equal(ran.stdout, 'said\n');
    assert.notEqual(ran.code, 0);
    await api.get(`/containers/${id}/json`).is(200, { State: { Status: 'running' } });
    await api.delete('/images/made:v1').is(200);
    await api.post('/commit?container=none').is(404, { message: 'No such container: none' });
  });
});
