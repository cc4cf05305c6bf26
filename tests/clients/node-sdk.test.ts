import assert from 'node:assert/strict';
import { PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { DockerClient, Filter } from '@docker/node-sdk';

import { onEveryEngine } from '../api/engines.ts';
import { sleep, type Daemon } from '../daemons.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';

/**
 * Docker's own library for Node, which asks for the newest version of the API and takes streams apart by their media type: engines
 * older than 1.42 do not name the multiplexed one, so it needs Hull or a newer dockerd.
 */
async function connect(daemon: Daemon): Promise<DockerClient & AsyncDisposable> {
  const client = await DockerClient.fromDockerHost(daemon.host);
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

type Client = Awaited<ReturnType<typeof connect>>;

async function created(client: Client, line: string, config: object = {}): Promise<string> {
  const { Id } = await client.containerCreate({ Image: 'busybox', Cmd: ['sh', '-c', line], ...config });
  return Id;
}

async function started(client: Client, line: string, config: object = {}): Promise<string> {
  const id = await created(client, line, config);
  await client.containerStart(id);
  return id;
}

/** What a call writes to the two streams that it is given. */
async function output(
  write: (stdout: PassThrough, stderr: PassThrough) => Promise<void>,
): Promise<{ stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const read = Promise.all([text(stdout), text(stderr)]);
  await write(stdout, stderr);
  stdout.end();
  stderr.end();
  const [out, err] = await read;
  return { stdout: out, stderr: err };
}

function collector(): { stream: WritableStream; bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  const writable = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream: Writable.toWeb(writable), bytes: () => Buffer.concat(chunks) };
}

onEveryEngine(
  '@docker/node-sdk',
  ({ check }) => {
    check('ping, version, info, disk usage', async (_api, daemon) => {
      await using client = await connect(daemon);
      const { ApiVersion } = await client.systemVersion();
      assert.equal(await client.systemPing(), ApiVersion);
      const info = await client.systemInfo();
      assert.equal(info.OSType, 'linux');
      assert.ok((await client.systemDataUsage()).Images);
    });

    check('a container: created, listed, run, inspected, ended, removed', async (_api, daemon) => {
      await using client = await connect(daemon);
      const { Id } = await client.containerCreate(
        {
          Image: 'busybox',
          Cmd: ['sh', '-c', 'trap "exit 7" TERM; echo up; while :; do sleep 0.1; done'],
          Labels: { role: 'sdk' },
        },
        { name: 'life' },
      );
      await client.containerStart(Id);
      const filters = new Filter().set('label', ['role=sdk']).add('status', 'running');
      const listed = await client.containerList({ all: true, filters });
      assert.deepEqual(
        listed.map((each) => [each.Id, each.Names]),
        [[Id, ['/life']]],
      );
      assert.equal((await client.containerInspect('life', { size: true })).State?.Status, 'running');
      await client.containerPause(Id);
      assert.equal((await client.containerInspect(Id)).State?.Paused, true);
      await client.containerUnpause(Id);
      await client.containerRename(Id, 'renamed');
      assert.equal((await client.containerInspect('renamed')).Name, '/renamed');
      const top = await client.containerTop(Id);
      assert.ok(top.Titles?.includes('CMD') && (top.Processes?.length ?? 0) >= 1);
      const waiting = client.containerWait(Id);
      await client.containerStop(Id, { timeout: 5 });
      assert.equal((await waiting).StatusCode, 7);
      await client.containerRestart(Id, { timeout: 0 });
      await client.containerKill(Id, { signal: 'KILL' });
      await client.containerDelete(Id, { force: true, volumes: true });
      await assert.rejects(client.containerInspect(Id));
    });

    check('logs, whole and followed, both streams apart', async (_api, daemon) => {
      await using client = await connect(daemon);
      const id = await started(client, 'echo out; echo err >&2; sleep 0.3; echo more');
      const followed = await output((stdout, stderr) =>
        client.containerLogs(id, stdout, stderr, { follow: true, stdout: true, stderr: true }),
      );
      assert.deepEqual(followed, { stdout: 'out\nmore\n', stderr: 'err\n' });
      const tail = await output((stdout, stderr) =>
        client.containerLogs(id, stdout, stderr, { stdout: true, stderr: true, tail: '1' }),
      );
      assert.deepEqual(tail, { stdout: 'more\n', stderr: '' });
    });

    check(
      'attach, by the media type of the stream: multiplexed, or raw of a terminal',
      async (_api, daemon) => {
        await using client = await connect(daemon);
        for (const [Tty, expected] of [
          [false, { stdout: 'out\n', stderr: 'err\n' }],
          [true, { stdout: 'out\r\nerr\r\n', stderr: '' }],
        ] as const) {
          const id = await created(client, 'echo out; echo err >&2', { Tty });
          const attached = output((stdout, stderr) =>
            client.containerAttach(id, stdout, stderr, { stream: true, stdout: true, stderr: true }),
          );
          await sleep(100);
          await client.containerStart(id);
          assert.deepEqual(await attached, expected);
        }
      },
    );

    check('exec, both streams apart, and its exit code', async (_api, daemon) => {
      await using client = await connect(daemon);
      const id = await started(client, 'exec sleep 60');
      const { Id } = await client.containerExec(id, {
        Cmd: ['sh', '-c', 'echo out; echo $WORD >&2; exit 5'],
        Env: ['WORD=err'],
        AttachStdout: true,
        AttachStderr: true,
      });
      const seen = await output((stdout, stderr) => client.execStart(Id, stdout, stderr));
      assert.deepEqual(seen, { stdout: 'out\n', stderr: 'err\n' });
      assert.equal((await client.execInspect(Id)).ExitCode, 5);
    });

    check('stats', async (_api, daemon) => {
      await using client = await connect(daemon);
      const id = await started(client, 'exec sleep 60');
      const stats = await client.containerStats(id, { oneShot: true });
      assert.ok((stats.memory_stats?.usage ?? 0) > 0);
    });

    check('events, as they come', async (_api, daemon) => {
      await using client = await connect(daemon);
      const events = client.systemEvents();
      const first = events.next();
      await sleep(100);
      const id = await started(client, 'exit 6');
      const seen: string[] = [];
      for (let each = await first; !each.done; each = await events.next()) {
        if (each.value.Actor?.ID === id) seen.push(each.value.Action ?? '');
        if (each.value.Action === 'die') break;
      }
      assert.deepEqual(seen, ['create', 'start', 'die']);
      await events.return();
    });

    check('files out of it, its changes, all of it', async (_api, daemon) => {
      await using client = await connect(daemon);
      const id = await started(client, 'echo made > /tmp/file');
      await client.containerWait(id);
      const archive = collector();
      await client.containerArchive(id, '/tmp/file', archive.stream);
      assert.ok(archive.bytes().includes('made\n'));
      const changes = await client.containerChanges(id);
      assert.ok(changes.some((change) => change.Path === '/tmp/file'));
      const exported = collector();
      await client.containerExport(id, exported.stream);
      assert.ok(exported.bytes().includes('tmp/file'));
    });

    check('images: loaded, inspected, tagged, committed, saved, removed, pruned', async (_api, daemon) => {
      await using client = await connect(daemon);
      const archive = dockerArchive([busyboxImage('mine:v1')]);
      await client.imageLoad(Readable.toWeb(Readable.from([archive])), { quiet: true });
      await client.imageTag('mine:v1', 'yours', 'v2');
      const image = await client.imageInspect('yours:v2');
      assert.ok(image.RepoTags?.includes('mine:v1'));
      const id = await created(client, 'true');
      const { Id } = await client.imageCommit(id, { repo: 'committed', tag: 'v1', comment: 'why' });
      assert.equal((await client.imageInspect('committed:v1')).Id, Id);
      const saved = collector();
      await client.imageGet('yours:v2', saved.stream);
      assert.ok(saved.bytes().includes('manifest.json'));
      const listed = await client.imageList({
        filters: new Filter().set('reference', ['yours:*', 'mine:*']),
      });
      assert.deepEqual(listed[0]?.RepoTags?.toSorted(), ['mine:v1', 'yours:v2']);
      for (const name of ['mine:v1', 'yours:v2', 'committed:v1']) {
        assert.ok((await client.imageDelete(name)).length > 0);
      }
      assert.ok(((await client.imagePrune()).SpaceReclaimed ?? 0) >= 0);
    });

    check('volumes: created, used, listed, inspected, removed, pruned', async (_api, daemon) => {
      await using client = await connect(daemon);
      const volume = await client.volumeCreate({ Name: 'kept', Labels: { of: 'sdk' } });
      assert.equal(volume.Name, 'kept');
      const id = await started(client, 'echo stays > /data/file', { HostConfig: { Binds: ['kept:/data'] } });
      await client.containerWait(id);
      assert.deepEqual((await client.volumeInspect('kept')).Labels, { of: 'sdk' });
      const { Volumes } = await client.volumeList(new Filter().set('label', ['of=sdk']));
      assert.deepEqual(
        Volumes?.map(({ Name }) => Name),
        ['kept'],
      );
      await client.containerDelete(id);
      await client.volumeDelete('kept');
      assert.equal((await client.volumeList(new Filter().set('label', ['of=sdk']))).Volumes?.length, 0);
      await client.volumePrune();
    });

    check('the built-in networks; ended containers are pruned', async (_api, daemon) => {
      await using client = await connect(daemon);
      const names = (await client.networkList()).map(({ Name }) => Name);
      assert.deepEqual(new Set(names), new Set(['bridge', 'host', 'none']));
      assert.equal((await client.networkInspect('bridge')).Driver, 'bridge');
      const id = await started(client, 'true');
      await client.containerWait(id);
      assert.deepEqual((await client.containerPrune()).ContainersDeleted, [id]);
    });
  },
  ['hull'],
);
