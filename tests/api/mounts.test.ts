import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { type Daemon, mountsUnder } from '../daemons.ts';
import { type Api, demultiplex, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Body = Record<string, unknown>;

const stdout = async (api: Api, line: string, HostConfig: Body): Promise<string> => {
  const { stdout: said, stderr } = await api.output(line, { HostConfig });
  assert.equal(stderr, '');
  return said;
};

/** A directory beside the engine's roots: what is bound from below those gets another propagation. */
function sourceOf(daemon: Daemon, name: string): string {
  const directory = path.join(daemon.directory, 'sources', name);
  mkdirSync(directory, { recursive: true });
  return directory;
}

async function withMount(directory: string, run: () => Promise<void>): Promise<void> {
  execFileSync('mount', ['-t', 'tmpfs', 'test', directory], { timeout: 5000 });
  try {
    await run();
  } finally {
    execFileSync('umount', ['-l', directory], { timeout: 5000 });
  }
}

onEveryEngine('mounts', ({ check }) => {
  const refused = async (
    api: Api,
    HostConfig: Body,
    status: number,
    message: string | RegExp,
  ): Promise<void> => {
    await api.post('/containers/create', { Image: 'busybox', HostConfig }).is(status, { message });
  };

  check('what -v cannot mean is refused', async (api) => {
    for (const [bind, message] of [
      ['', "invalid volume specification: ''"],
      ['a:b:c:d', "invalid volume specification: 'a:b:c:d'"],
      ['/foo:rw', "invalid volume specification: '/foo:rw'"],
      [
        'a:relative',
        "invalid volume specification: 'a:relative': invalid mount config for type \"volume\": invalid mount path: 'relative' mount path must be absolute",
      ],
      [
        '/a:/',
        "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
      ],
      ['/a:/b:what', 'invalid mode: what'],
      ['/a:/b:z,Z', 'invalid mode: z,Z'],
      ['/a:/b:shared,slave', 'invalid mode: shared,slave'],
    ] as const) {
      await refused(api, { Binds: [bind] }, 500, message);
    }
    await refused(api, { Binds: ['a/b:/c'] }, 400, /^create a\/b: "a\/b" includes invalid characters/);
    await refused(
      api,
      { Binds: ['x:/c'] },
      400,
      'create x: volume name is too short, names should be at least two alphanumeric characters',
    );
  });

  check('what a structured mount cannot mean is refused', async (api) => {
    const bind = { Type: 'bind', Source: '/tmp', Target: '/x' };
    for (const [mount, words] of [
      [{}, 'type "": field Target must not be empty'],
      [{ ...bind, Type: 'npipe' }, 'type "npipe": mount type unknown'],
      [{ ...bind, Type: 'cluster' }, 'type "cluster": mount type unknown'],
      [{ ...bind, Target: 'x' }, 'type "bind": invalid mount path: \'x\' mount path must be absolute'],
      [{ ...bind, Target: '/' }, "type \"bind\": invalid specification: destination can't be '/'"],
      [{ ...bind, Source: '' }, 'type "bind": field Source must not be empty'],
      [{ ...bind, Source: '/nope/x' }, 'type "bind": bind source path does not exist: /nope/x'],
      [{ ...bind, VolumeOptions: {} }, 'type "bind": field VolumeOptions must not be specified'],
      [{ ...bind, BindOptions: { Propagation: 'up' } }, 'type "bind": invalid propagation mode: up'],
      [{ ...bind, Type: 'tmpfs' }, 'type "tmpfs": field Source must not be specified'],
    ] as const) {
      await refused(api, { Mounts: [mount] }, 400, `invalid mount config for ${words}`);
    }
  });

  check('two at one place, and a tmpfs without one, are refused', async (api) => {
    await refused(api, { Binds: ['/tmp:/x', '/var:/x/'] }, 400, 'Duplicate mount point: /x');
    await refused(api, { Binds: ['/tmp:/x'], Tmpfs: { '/x': '' } }, 400, 'Duplicate mount point: /x');
    const mount = { Type: 'bind', Source: '/tmp', Target: '/x' };
    await refused(api, { Binds: ['/tmp:/x'], Mounts: [mount] }, 400, 'Duplicate mount point: /x');
    await refused(api, { Tmpfs: { x: '' } }, 400, "invalid mount path: 'x' mount path must be absolute");
  });

  check('inspect shows modes and propagation', async (api, daemon) => {
    const source = sourceOf(daemon, 'shown');
    for (const [bind, shown] of [
      [`${source}/:/c/./d/:Z,ro`, { Destination: '/c/d', Mode: 'Z,ro', RW: false, Propagation: 'rprivate' }],
      [`${source}:/c:rslave`, { Mode: 'rslave', RW: true, Propagation: 'rslave' }],
      ['shown:/c:ro,z,cached', { Name: 'shown', Mode: 'ro,z,cached', RW: false, Propagation: '' }],
      ['/anon', { Type: 'volume', Mode: 'z', RW: true }],
      ['/:/host', { Type: 'bind', Source: '/', Propagation: 'rslave' }],
    ] as const) {
      const id = await api.create({ HostConfig: { Binds: [bind] } });
      await api.get(`/containers/${id}/json`).is(200, { Mounts: [shown] });
      await api.delete(`/containers/${id}?v=1`).is(204);
    }
    await api.delete('/volumes/shown').is(204);
  });

  check('around the data root only shared propagation will do', async (api, daemon) => {
    const message = new RegExp(
      `^invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: "${daemon.dataRoot}", bind mount source: "/", propagation: "private"$`,
    );
    await refused(api, { Binds: ['/:/host:private'] }, 400, message);
    assert.equal(await stdout(api, 'test -d /host/proc && echo seen', { Binds: ['/:/host:ro'] }), 'seen\n');
  });

  check('propagation needs a source on a shared mount, and carries mounts both ways', async (api, daemon) => {
    const source = sourceOf(daemon, 'spread');
    await withMount(source, async () => {
      execFileSync('mount', ['--make-private', source], { timeout: 5000 });
      for (const [mode, words] of [
        ['rshared', 'a shared mount'],
        ['slave', 'a shared or slave mount'],
      ]) {
        const id = await api.create({ HostConfig: { Binds: [`${source}:/m:${mode}`] } });
        await api.post(`/containers/${id}/start`).is(500, {
          message: new RegExp(`path ${source} is mounted on ${source} but it is not ${words}`),
        });
      }
      execFileSync('mount', ['--make-shared', source], { timeout: 5000 });
      mkdirSync(path.join(source, 'inner'));
      const waits = 'until [ -e /m/inner/seen ]; do sleep 0.05; done; echo seen; sleep 600';
      const slave = await api.run(waits, { HostConfig: { Binds: [`${source}:/m:rslave`] } });
      await withMount(path.join(source, 'inner'), async () => {
        writeFileSync(path.join(source, 'inner/seen'), '');
        const follow = await api.raw('GET', `/containers/${slave}/logs?stdout=1&follow=1`);
        await follow.until('what was mounted on the host', () => follow.text.includes('seen'));
        follow.close();
      });
    });
  });

  check('tmpfs options: Docker’s list, defaults first, the last word counts', async (api) => {
    const options = async (data: string): Promise<string> =>
      (await stdout(api, 'grep " /t " /proc/mounts', { Tmpfs: { '/t': data } })).split(' ')[3] ?? '';
    assert.match(await options(''), /^rw,nosuid,nodev,noexec,relatime/);
    assert.match(
      await options('exec,size=64k,mode=1770,uid=3'),
      /^rw,nosuid,nodev,relatime.*size=64k.*mode=1770/,
    );
    for (const [data, words] of [
      ['foo', 'invalid tmpfs option ["foo"]'],
      ['size=1m,foo=b', 'invalid tmpfs option ["foo" "b"]'],
    ] as const) {
      const id = await api.create({ HostConfig: { Tmpfs: { '/t': data } } });
      await api.post(`/containers/${id}/start`).is(500, { message: words });
    }
    const mount = {
      Type: 'tmpfs',
      Target: '/t',
      ReadOnly: true,
      TmpfsOptions: { SizeBytes: 65536, Mode: 448 },
    };
    const line = await stdout(api, 'grep " /t " /proc/mounts; stat -c %a /t', { Mounts: [mount] });
    assert.match(line, /ro,.*size=64k,mode=700[^]*\n700\n$/);
  });

  check('a read-only bind before API 1.44 leaves what is mounted below as it is', async (api, daemon) => {
    const source = sourceOf(daemon, 'below');
    mkdirSync(path.join(source, 'inner'));
    await withMount(path.join(source, 'inner'), async () => {
      const { stdout: said } = await api.output(
        'touch /m/a 2>/dev/null || echo refused; touch /m/inner/a && echo written',
        { HostConfig: { Binds: [`${source}:/m:ro`] } },
      );
      assert.equal(said, 'refused\nwritten\n');
    });
  });

  const touchedBelow = async (
    api: Api,
    source: string,
    BindOptions: Body | undefined,
    NonReadOnly = false,
  ): Promise<Body> => {
    const mount = { Type: 'bind', Source: source, Target: '/m', ReadOnly: !NonReadOnly, BindOptions };
    const touches = { Image: 'busybox', Cmd: ['touch', '/m/inner/a'], HostConfig: { Mounts: [mount] } };
    const id = field(await api.post('/v1.45/containers/create', touches).is(201), 'Id');
    const started = await api.post(`/containers/${id}/start`).reply();
    if (started.status !== 204) return JSON.parse(started.body.toString()) as Body;
    const waited = await api.post(`/containers/${id}/wait`).is(200);
    return { code: Number(field(waited, 'StatusCode')) };
  };

  check('a read-only bind is so for what is mounted below', async (api, daemon) => {
    const source = sourceOf(daemon, 'read');
    mkdirSync(path.join(source, 'inner'));
    await withMount(path.join(source, 'inner'), async () => {
      assert.deepEqual(await touchedBelow(api, source, undefined), { code: 1 });
      assert.deepEqual(await touchedBelow(api, source, { ReadOnlyForceRecursive: true }), { code: 1 });
      const both = { ReadOnlyNonRecursive: true, ReadOnlyForceRecursive: true };
      assert.deepEqual(await touchedBelow(api, source, both), {
        message: 'mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive',
      });
      assert.deepEqual(await touchedBelow(api, source, { ReadOnlyNonRecursive: true }, true), {
        message: 'mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive',
      });
      // Without what is mounted below, there is the directory under it.
      assert.deepEqual(await touchedBelow(api, source, { NonRecursive: true }), { code: 1 });
    });
  });

  check('a read-only bind leaves what is mounted below as it is where told to', async (api, daemon) => {
    const source = sourceOf(daemon, 'left');
    mkdirSync(path.join(source, 'inner'));
    await withMount(path.join(source, 'inner'), async () => {
      assert.deepEqual(await touchedBelow(api, source, { ReadOnlyNonRecursive: true }), { code: 0 });
    });
  });

  check('owners, modes, links and attributes are the same on both sides of a bind', async (api, daemon) => {
    const source = sourceOf(daemon, 'kept');
    writeFileSync(path.join(source, 'theirs'), 'x');
    chownSync(path.join(source, 'theirs'), 7, 8);
    chmodSync(path.join(source, 'theirs'), 0o4640);
    symlinkSync('theirs', path.join(source, 'link'));
    const line =
      'cd /m; stat -c "%u %g %a" theirs; readlink link; echo y > mine; chown 1000:9 mine; chmod 2751 mine; ' +
      'ln mine other; ln -s mine away; mkdir dir; chmod 1777 dir; mkfifo pipe; rm theirs; mv link moved';
    assert.equal(await stdout(api, line, { Binds: [`${source}:/m`] }), '7 8 4640\ntheirs\n');
    const mine = statSync(path.join(source, 'mine'));
    assert.deepEqual([mine.uid, mine.gid, mine.mode & 0o7777, mine.nlink], [1000, 9, 0o2751, 2]);
    assert.equal(readlinkSync(path.join(source, 'away')), 'mine');
    assert.equal(statSync(path.join(source, 'dir')).mode & 0o7777, 0o1777);
    assert.equal(statSync(path.join(source, 'pipe')).isFIFO(), true);
    assert.deepEqual(readdirSync(source).toSorted(), ['away', 'dir', 'mine', 'moved', 'other', 'pipe']);
  });

  check('what a user may in a bind is what he may on the host', async (api, daemon) => {
    const source = sourceOf(daemon, 'users');
    chmodSync(source, 0o755);
    writeFileSync(path.join(source, 'secret'), 'x', { mode: 0o600 });
    mkdirSync(path.join(source, 'own'));
    chownSync(path.join(source, 'own'), 1000, 1000);
    const { stdout: said } = await api.output(
      'cat /m/secret 2>/dev/null || echo hidden; touch /m/x 2>/dev/null || echo refused; touch /m/own/x && stat -c %u /m/own/x',
      { User: 'alice', HostConfig: { Binds: [`${source}:/m`] } },
    );
    assert.equal(said, 'hidden\nrefused\n1000\n');
  });

  check('a bind with more files than a process usually may open', async (api, daemon) => {
    const source = sourceOf(daemon, 'many');
    for (let count = 0; count < 1500; count++) writeFileSync(path.join(source, `f${count}`), '');
    assert.equal(await stdout(api, 'ls -l /m | wc -l', { Binds: [`${source}:/m:ro`] }), '1501\n');
  });

  check('a pipe in a bind mount has its other end on the host', async (api, daemon) => {
    const pipe = path.join(sourceOf(daemon, 'pipe'), 'pipe');
    execFileSync('mkfifo', [pipe], { timeout: 5000 });
    const reader = promisify(execFile)('cat', [pipe], { timeout: 5000 });
    await api.run('echo through > /m/pipe', { HostConfig: { Binds: [`${path.dirname(pipe)}:/m`] } });
    assert.equal((await reader).stdout, 'through\n');
  });

  check('what the mount of the source forbids stays forbidden', async (api, daemon) => {
    const source = sourceOf(daemon, 'forbids');
    await withMount(source, async () => {
      execFileSync('mount', ['-o', 'remount,bind,ro,nosuid,nodev,noexec', source], { timeout: 5000 });
      const line = await stdout(api, 'grep " /m " /proc/mounts', { Binds: [`${source}:/m`] });
      assert.match(line, / ro,nosuid,nodev,noexec/);
    });
  });

  check('a bind makes its source where it is told to', async (api, daemon) => {
    const source = path.join(daemon.directory, 'sources/made/by-mount');
    const create = async (version: string): Promise<number> => {
      const mount = { Type: 'bind', Source: source, Target: '/m', BindOptions: { CreateMountpoint: true } };
      const body = { Image: 'busybox', Cmd: ['touch', '/m/a'], HostConfig: { Mounts: [mount] } };
      const reply = await api.post(`/${version}/containers/create`, body).reply();
      if (reply.status !== 201) return reply.status;
      const { Id } = JSON.parse(reply.body.toString()) as { Id: string };
      await api.post(`/containers/${Id}/start`).is(204);
      await api.post(`/containers/${Id}/wait`).is(200, { StatusCode: 0 });
      return 201;
    };
    assert.equal(await create('v1.41'), 400);
    assert.equal(await create('v1.45'), 201);
    assert.equal(readFileSync(path.join(source, 'a'), 'utf8'), '');
  });

  check('a part of a volume, and nothing outside it', async (api) => {
    await stdout(
      api,
      'mkdir -p /v/a/b; echo in >/v/a/b/f; ln -s a /v/inside; ln -s /etc /v/out; ln -s ../../.. /v/up; ln -s /v/a /v/abs',
      { Binds: ['parted:/v'] },
    );
    const make = async (Subpath: string): Promise<string> => {
      const mount = { Type: 'volume', Source: 'parted', Target: '/m', VolumeOptions: { Subpath } };
      const body = { Image: 'busybox', Cmd: ['cat', '/m'], HostConfig: { Mounts: [mount] } };
      return field(await api.post('/v1.45/containers/create', body).is(201), 'Id');
    };
    for (const subpath of ['a/b/f', 'inside/b/f', 'a/../a/b/f']) {
      const id = await make(subpath);
      await api.post(`/containers/${id}/start`).is(204);
      await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 0 });
    }
    for (const [subpath, status, message] of [
      ['out/passwd', 400, /^path concatenation escapes the base directory, base: .*, subpath: out\/passwd$/],
      ['up/etc', 400, /^path concatenation escapes the base directory/],
      ['abs', 400, /^path concatenation escapes the base directory/],
      ['none', 404, /^cannot access path .*\/_data\/none: lstat .*: no such file or directory$/],
    ] as const) {
      const id = await make(subpath);
      await api.post(`/containers/${id}/start`).is(status, { message });
      await api.delete(`/containers/${id}`).is(204);
    }
    await api.delete('/volumes/parted').is(409);
  });

  check('an image is mounted read-only, and is in use', async (api, daemon) => {
    const mount = (more: Body = {}): Body => ({ Type: 'image', Source: 'layered:v1', Target: '/i', ...more });
    const create = async (Mounts: Body[], Cmd: string[]): Promise<string> => {
      const body = { Image: 'busybox', Cmd, HostConfig: { Mounts } };
      return field(await api.post('/v1.48/containers/create', body).is(201), 'Id');
    };
    const part = mount({ ImageOptions: { Subpath: 'opaque' }, Target: '/part' });
    const line = 'cat /i/app/kept; ls /i/opaque /part; touch /i/x; sleep 600';
    const id = await create([mount(), part], ['sh', '-c', line]);
    await api.get(`/containers/${id}/json`).is(200, {
      Mounts: (mounts) =>
        Array.isArray(mounts) &&
        mounts.every(({ Type, Name, RW }) => Type === 'image' && Name === 'layered:v1' && RW === false),
    });
    await api.post(`/containers/${id}/start`).is(204);
    const follow = await api.raw('GET', `/containers/${id}/logs?stdout=1&stderr=1&follow=1`);
    await follow.until('the last line', () => follow.text.includes('Read-only file system'));
    follow.close();
    const logs = await api.get(`/containers/${id}/logs?stdout=1`).reply();
    assert.equal(demultiplex(logs.body).stdout, 'kept\n/i/opaque:\nnew\n\n/part:\nnew\n');
    // What was needed to get there is gone while the container runs.
    assert.deepEqual(
      mountsUnder(daemon.directory).filter((target) => target.includes('passages')),
      [],
    );
    await api.delete('/images/layered:v1').is(409, { message: /container [0-9a-f]{12} is using its/ });
    await api
      .post('/v1.48/containers/create', {
        Image: 'busybox',
        HostConfig: { Mounts: [mount({ Source: 'nosuch' })] },
      })
      .is(404, { message: 'No such image: nosuch:latest' });
    const stopped = await create([mount()], ['true']);
    const archive = await api.get(`/containers/${stopped}/archive?path=/i/app/kept`).reply();
    assert.equal(archive.status, 200);
    assert.ok(archive.body.includes('kept\n'));
  });

  check('a volume with options is mounted while a container holds it', async (api, daemon) => {
    const held = (): boolean =>
      mountsUnder(daemon.dataRoot).some((target) => target.endsWith('/volumes/ram/_data'));
    await api
      .post('/volumes/create', {
        Name: 'ram',
        DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=7' },
      })
      .is(201, { Options: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=7' } });
    assert.equal(held(), false);
    const line = 'stat -c %u /v; sleep 600';
    const first = await api.run(line, { HostConfig: { Binds: ['ram:/v'] } });
    const second = await api.run(line, { HostConfig: { Binds: ['ram:/v:ro', 'ram:/w'] } });
    assert.equal(held(), true);
    await api.delete(`/containers/${first}?force=1`).is(204);
    assert.equal(held(), true);
    await api.delete(`/containers/${second}?force=1`).is(204);
    assert.equal(held(), false);
    await api.delete('/volumes/ram').is(204);
  });

  check(
    'a volume may be a directory of the host; one that cannot be mounted says why',
    async (api, daemon) => {
      const source = sourceOf(daemon, 'bound');
      writeFileSync(path.join(source, 'f'), 'bound\n');
      for (const [name, device] of [
        ['good', source],
        ['bad', '/nope/x'],
      ]) {
        const options = { type: 'none', device, o: 'bind,ro' };
        await api.post('/volumes/create', { Name: name, DriverOpts: options }).is(201);
      }
      assert.equal(
        await stdout(api, 'cat /v/f; touch /v/g 2>/dev/null || echo refused', { Binds: ['good:/v'] }),
        'bound\nrefused\n',
      );
      const id = await api.create({ HostConfig: { Binds: ['bad:/v'] } });
      await api.post(`/containers/${id}/start`).is(500, {
        message:
          /^error while mounting volume '.*\/volumes\/bad\/_data': failed to mount local volume: mount \/nope\/x:.*, flags: 0x1001: no such file or directory$/,
      });
      await api.get('/system/df').is(200, {
        Volumes: (volumes) => !JSON.stringify(volumes).includes('"good"'),
      });
      await api.delete(`/containers/${id}`).is(204);
      await api
        .post('/volumes/prune')
        .is(200, { VolumesDeleted: (names) => !JSON.stringify(names).includes('good') });
      await api.delete('/volumes/good').is(204);
      await api.delete('/volumes/bad').is(204);
      assert.equal(readFileSync(path.join(source, 'f'), 'utf8'), 'bound\n');
    },
  );

  check('bad options of volumes are refused', async (api) => {
    for (const [DriverOpts, words] of [
      [{ foo: 'x' }, 'invalid option: "foo"'],
      [{ type: 'tmpfs' }, 'missing required option: "device"'],
      [{ device: 'x' }, 'missing required option: "type"'],
    ] as const) {
      await api
        .post('/volumes/create', { Name: 'ab', DriverOpts })
        .is(400, { message: `create ab: ${words}` });
    }
  });

  check('volumes of other containers: their modes, and through a stopped one', async (api) => {
    const lender = await api.create({ HostConfig: { Binds: ['lent:/v', 'lent:/r:ro'] } });
    const id = await api.create({ HostConfig: { VolumesFrom: [`${lender}:ro`], Binds: ['/tmp:/r'] } });
    await api.get(`/containers/${id}/json`).is(200, {
      Mounts: (mounts) =>
        Array.isArray(mounts) &&
        mounts.length === 2 &&
        mounts.some(({ Destination, RW, Name }) => Destination === '/v' && Name === 'lent' && RW === false) &&
        mounts.some(({ Destination, Type }) => Destination === '/r' && Type === 'bind'),
    });
    for (const [from, message] of [
      ['', 'volumes-from specification cannot be an empty string'],
      ['x:nocopy', 'invalid mode: nocopy'],
      ['x:rshared', 'invalid mode: rshared'],
    ] as const) {
      await refused(api, { VolumesFrom: [from] }, 400, message);
    }
    await api.delete('/volumes/lent').is(409);
    for (const container of [id, lender]) await api.delete(`/containers/${container}`).is(204);
    await api.delete('/volumes/lent').is(204);
  });
});
