import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';

import Docker from 'dockerode';

import { onEveryEngine } from '../api/engines.ts';
import type { Daemon } from '../daemons.ts';
import { tar } from '../tar-writer.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';

/** The client library that most programs in JavaScript drive Docker with. */
function client(daemon: Daemon): Docker {
  return new Docker({ socketPath: daemon.socket });
}

const BUSYBOX = 'busybox:latest';

interface Output {
  stdout: string;
  stderr: string;
}

/** What came over a multiplexed stream until its end, by the library's own demultiplexer. */
async function demultiplexed(docker: Docker, stream: NodeJS.ReadableStream): Promise<Output> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, stdout, stderr);
  stream.on('end', () => {
    stdout.end();
    stderr.end();
  });
  const [out, err] = await Promise.all([text(stdout), text(stderr)]);
  return { stdout: out, stderr: err };
}

function shell(
  line: string,
  options: Partial<Docker.ContainerCreateOptions> = {},
): Docker.ContainerCreateOptions {
  return { Image: BUSYBOX, Cmd: ['sh', '-c', line], ...options };
}

async function started(docker: Docker, line: string, options?: Partial<Docker.ContainerCreateOptions>) {
  const container = await docker.createContainer(shell(line, options));
  await container.start();
  return container;
}

/** A promise of the library's progress streams (load, import): the messages until the end. */
function progress(
  docker: Docker,
  stream: NodeJS.ReadableStream,
): Promise<{ stream?: string; status?: string }[]> {
  return new Promise((resolve, reject) => {
    docker.modem.followProgress(stream, (error, messages) =>
      error === null || error === undefined ? resolve(messages) : reject(error),
    );
  });
}

async function rejects(promise: Promise<unknown>, statusCode: number, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error & { statusCode?: number }) => {
    assert.equal(error.statusCode, statusCode, error.message);
    assert.match(error.message, message);
    return true;
  });
}

onEveryEngine(
  'dockerode: containers',
  ({ check }) => {
    check('docker.run writes both streams apart and gives the exit code', async (_api, daemon) => {
      const docker = client(daemon);
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const [result, container] = (await docker.run(
        BUSYBOX,
        ['sh', '-c', 'echo out; echo err >&2; exit 3'],
        [stdout, stderr],
        { Tty: false },
      )) as [{ StatusCode: number }, Docker.Container];
      stdout.end();
      stderr.end();
      assert.deepEqual([result.StatusCode, await text(stdout), await text(stderr)], [3, 'out\n', 'err\n']);
      await container.remove();
    });

    check(
      'its life: created, running, paused, restarted, renamed, updated, stopped, removed',
      async (_api, daemon) => {
        const docker = client(daemon);
        const container = await docker.createContainer({
          ...shell('trap "exit 7" TERM; while :; do sleep 0.1; done'),
          name: 'life',
          Labels: { role: 'test' },
          HostConfig: { Memory: 64 << 20 },
        });
        const status = async () => (await container.inspect()).State.Status;
        assert.equal(await status(), 'created');
        await container.start();
        await rejects(container.start(), 304, /not modified|already started/);
        assert.equal(await status(), 'running');
        await container.pause();
        assert.equal(await status(), 'paused');
        await container.unpause();
        await container.restart({ t: 5 });
        await container.rename({ name: 'renamed' });
        await container.update({ Memory: 128 << 20, MemorySwap: -1 });
        const inspected = await docker.getContainer('renamed').inspect();
        assert.deepEqual(
          [inspected.Id, inspected.Name, inspected.HostConfig.Memory, inspected.Config.Labels.role],
          [container.id, '/renamed', 128 << 20, 'test'],
        );
        const top = await container.top();
        assert.ok(top.Processes.some((line: string[]) => line.at(-1)?.includes('trap')));
        const listed = await docker.listContainers({
          filters: { label: ['role=test'], status: ['running'] },
        });
        assert.deepEqual(
          listed.map(({ Id, Names, State, Image }) => ({ Id, Names, State, Image })),
          [{ Id: container.id, Names: ['/renamed'], State: 'running', Image: BUSYBOX }],
        );
        const ended = container.wait();
        await container.stop({ t: 5 });
        assert.equal((await ended).StatusCode, 7);
        await rejects(container.kill(), 409, /is not running/);
        await container.remove();
        await rejects(container.inspect(), 404, /No such container/);
      },
    );

    check('attach before start: both streams, and half-close ends the input only', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await docker.createContainer(
        shell('cat; echo after >&2; exit 4', {
          OpenStdin: true,
          StdinOnce: true,
          AttachStdin: true,
          AttachStdout: true,
          AttachStderr: true,
        }),
      );
      const stream = await container.attach({
        stream: true,
        hijack: true,
        stdin: true,
        stdout: true,
        stderr: true,
      });
      const output = demultiplexed(docker, stream);
      await container.start();
      stream.write('hello\n');
      stream.end();
      assert.deepEqual(await output, { stdout: 'hello\n', stderr: 'after\n' });
      assert.equal((await container.wait()).StatusCode, 4);
    });

    check('a terminal: raw bytes both ways, and its size', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await docker.createContainer(
        shell('read line; stty size; echo "got $line"', {
          Tty: true,
          OpenStdin: true,
          AttachStdin: true,
          AttachStdout: true,
        }),
      );
      const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true });
      const output = text(stream);
      await container.start();
      await container.resize({ h: 33, w: 111 });
      stream.write('typed\n');
      assert.equal(await output, 'typed\r\n33 111\r\ngot typed\r\n');
    });

    check('logs: whole, the tail, and followed to the end', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await started(docker, 'echo one; echo two >&2; sleep 0.5; echo three');
      const followed = await container.logs({ follow: true, stdout: true, stderr: true });
      assert.deepEqual(await demultiplexed(docker, followed), { stdout: 'one\nthree\n', stderr: 'two\n' });
      const tail = await container.logs({ stdout: true, stderr: true, tail: 1 });
      assert.deepEqual(await demultiplexed(docker, Readable.from([tail])), { stdout: 'three\n', stderr: '' });
    });

    check('abort ends what waits: logs, events, wait', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await started(docker, 'echo up; exec sleep 60');
      const aborting = new AbortController();
      const logs = await container.logs({ follow: true, stdout: true, abortSignal: aborting.signal });
      const events = await docker.getEvents({ abortSignal: aborting.signal });
      const waiting = container.wait({ condition: 'not-running', abortSignal: aborting.signal });
      const ended = [text(logs as Readable), text(events as Readable), waiting].map((promise) =>
        assert.rejects(promise as Promise<unknown>, /abort/i),
      );
      setTimeout(() => aborting.abort(), 200);
      await Promise.all(ended);
      assert.equal((await container.inspect()).State.Running, true);
    });

    check('stats: once, and a stream of them', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await started(docker, 'exec sleep 60');
      const once = await container.stats({ stream: false, 'one-shot': true });
      assert.equal(once.pids_stats?.current, 1);
      const stream = (await container.stats({ stream: true })) as Readable;
      const [first] = (await stream.take(1).toArray()) as Buffer[];
      const sample = JSON.parse(String(first)) as Docker.ContainerStats;
      assert.ok(sample.memory_stats.usage > 0 && sample.memory_stats.limit > 0);
      assert.ok('eth0' in (sample.networks ?? {}));
    });

    check('exec: its streams, its input, its environment, its end', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await started(docker, 'exec sleep 60');
      const exec = await container.exec({
        Cmd: ['sh', '-c', 'pwd; echo $WORD >&2; cat; id -u; exit 5'],
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: true,
        Env: ['WORD=hello'],
        User: 'alice',
        WorkingDir: '/tmp',
      });
      const stream = await exec.start({ hijack: true, stdin: true });
      const output = demultiplexed(docker, stream);
      stream.end('typed\n');
      assert.deepEqual(await output, { stdout: '/tmp\ntyped\n1000\n', stderr: 'hello\n' });
      const { ExitCode, Running, ProcessConfig } = await exec.inspect();
      assert.deepEqual([ExitCode, Running, ProcessConfig.entrypoint], [5, false, 'sh']);
    });

    check('exec without hijack, as most examples have it', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await started(docker, 'exec sleep 60');
      const exec = await container.exec({ Cmd: ['echo', 'plain'], AttachStdout: true, AttachStderr: true });
      assert.equal((await demultiplexed(docker, await exec.start({}))).stdout, 'plain\n');
    });

    check('files go in and come out, and the changes are told', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await docker.createContainer(shell('cat /tmp/in/file; sleep 60'));
      const archive = tar([
        { name: 'in', type: 'directory' },
        { name: 'in/file', data: 'from outside\n', mode: 0o640, uid: 1000, gid: 1000 },
      ]);
      await container.putArchive(archive, { path: '/tmp' });
      await container.putArchive(Readable.from([archive]), { path: '/home' });
      const back = await buffer(await container.getArchive({ path: '/home/in/file' }));
      assert.ok(back.includes('from outside\n'));
      const info = (await container.infoArchive({ path: '/tmp/in/file' })) as NodeJS.ReadableStream & {
        headers: Record<string, string>;
      };
      const stat = JSON.parse(
        Buffer.from(info.headers['x-docker-container-path-stat'] ?? '', 'base64').toString(),
      ) as { name: string; size: number; mode: number };
      assert.deepEqual([stat.name, stat.size, stat.mode], ['file', 13, 0o640]);
      await rejects(container.getArchive({ path: '/nowhere' }), 404, /Could not find the file/);
      const changes = (await container.changes()) as { Path: string; Kind: number }[];
      assert.ok(changes.some(({ Path, Kind }) => Path === '/tmp/in/file' && Kind === 1));
      const exported = await buffer(await container.export());
      assert.ok(exported.includes('bin/busybox') && exported.includes('from outside'));
    });

    check('commit, and a container from what was committed', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await started(docker, 'echo kept > /kept');
      await container.wait();
      const { Id } = (await container.commit({
        repo: 'committed',
        tag: 'v1',
        comment: 'why',
        author: 'me',
        changes: 'CMD ["cat", "/kept"]',
      })) as { Id: string };
      const image = docker.getImage('committed:v1');
      assert.equal((await image.inspect()).Id, Id);
      const again = await docker.createContainer({ Image: 'committed:v1' });
      await again.start();
      await again.wait();
      const log = await again.logs({ stdout: true });
      assert.equal((await demultiplexed(docker, Readable.from([log]))).stdout, 'kept\n');
      await again.remove();
      await image.remove();
    });

    check('events, filtered', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await docker.createContainer(shell('exit 6', { Labels: { watched: 'yes' } }));
      const since = Math.floor(Date.now() / 1000) - 1;
      const stream = (await docker.getEvents({
        since,
        filters: { type: ['container'], label: ['watched=yes'], event: ['start', 'die', 'destroy'] },
      })) as Readable;
      const seen = stream
        .flatMap((chunk: Buffer) => String(chunk).trim().split('\n'))
        .map(
          (line: string) =>
            JSON.parse(line) as { Action: string; Actor: { Attributes: Record<string, string> } },
        )
        .take(3)
        .toArray();
      await container.start();
      await container.wait();
      await container.remove();
      const events = await seen;
      assert.deepEqual(
        events.map(({ Action }) => Action),
        ['start', 'die', 'destroy'],
      );
      assert.equal(events[1]?.Actor.Attributes.exitCode, '6');
    });

    check('published ports and what inspect says of them', async (_api, daemon) => {
      const docker = client(daemon);
      const container = await started(
        docker,
        'mkdir /www; echo served > /www/index.html; exec httpd -f -h /www',
        {
          ExposedPorts: { '80/tcp': {} },
          HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '0' }] } },
        },
      );
      const { Ports } = (await container.inspect()).NetworkSettings;
      const { HostPort } = Ports['80/tcp']?.[0] ?? {};
      for (let tries = 0; ; tries++) {
        try {
          const page = await (await fetch(`http://127.0.0.1:${HostPort}/`)).text();
          assert.equal(page, 'served\n');
          break;
        } catch (error) {
          if (tries > 50 || error instanceof assert.AssertionError) throw error;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    });

    check('prune removes what has ended, and says what', async (_api, daemon) => {
      const docker = client(daemon);
      const ended = await started(docker, 'true', { Labels: { prune: 'me' } });
      await ended.wait();
      const running = await started(docker, 'exec sleep 60', { Labels: { prune: 'me' } });
      const pruned = await docker.pruneContainers({ filters: { label: ['prune=me'] } });
      assert.deepEqual(pruned.ContainersDeleted, [ended.id]);
      assert.equal((await running.inspect()).State.Running, true);
    });
  },
  ['hull'],
);

onEveryEngine(
  'dockerode: images, volumes, the system',
  ({ check }) => {
    check(
      'an image is loaded, listed, inspected, tagged, saved, loaded again, removed',
      async (_api, daemon) => {
        const docker = client(daemon);
        const messages = await progress(
          docker,
          await docker.loadImage(Readable.from([dockerArchive([busyboxImage('mine:v1')])])),
        );
        assert.ok(messages.some(({ stream = '' }) => stream.includes('Loaded image: mine:v1')));
        const image = docker.getImage('mine:v1');
        await image.tag({ repo: 'yours', tag: 'v2' });
        const { Id, RepoTags, Architecture, RootFS } = await docker.getImage('yours:v2').inspect();
        assert.ok(
          RepoTags.includes('mine:v1') && RepoTags.includes('yours:v2') && RootFS.Layers?.length === 1,
        );
        assert.equal(Architecture, process.arch === 'arm64' ? 'arm64' : 'amd64');
        const listed = await docker.listImages({ filters: { reference: ['yours:*'] } });
        assert.deepEqual(
          listed.map((each) => each.Id),
          [Id],
        );
        assert.equal((await image.history()).length, 1);
        const saved = await buffer(await docker.getImage('yours:v2').get());
        await image.remove();
        await docker.getImage('yours:v2').remove();
        await rejects(docker.getImage('yours:v2').inspect(), 404, /No such image/);
        await progress(docker, await docker.loadImage(Readable.from([saved])));
        assert.equal((await docker.getImage('yours:v2').inspect()).Id, Id);
        await docker.getImage('yours:v2').remove();
      },
    );

    check('an import, followed; a prune', async (_api, daemon) => {
      const docker = client(daemon);
      const files = tar([{ name: 'hello', data: 'hi\n' }]);
      const stream = await docker.importImage(Readable.from([files]), {
        repo: 'imported',
        tag: 'v1',
      });
      const [last] = (await progress(docker, stream)).slice(-1);
      assert.match(last?.status ?? '', /^sha256:/);
      await docker.getImage('imported:v1').remove({ noprune: true, force: true });
      const pruned = await docker.pruneImages({ filters: { dangling: ['true'] } });
      assert.ok(pruned.SpaceReclaimed >= 0);
    });

    check(
      'a pull that cannot be is an error in the stream or at once, never a success',
      async (_api, daemon) => {
        const docker = client(daemon);
        await assert.rejects(
          docker.pull('localhost:1/no/such:image').then((stream) => progress(docker, stream)),
        );
      },
    );

    check('volumes: created, used, listed, inspected, pruned, removed', async (_api, daemon) => {
      const docker = client(daemon);
      const created = await docker.createVolume({ Name: 'kept', Labels: { of: 'test' } });
      assert.equal(created.name, 'kept');
      const writer = await started(docker, 'echo stays > /data/file', {
        HostConfig: { Binds: ['kept:/data'] },
      });
      await writer.wait();
      const reader = await started(docker, 'cat /data/file', {
        HostConfig: { Mounts: [{ Type: 'volume', Source: 'kept', Target: '/data', ReadOnly: true }] },
      });
      await reader.wait();
      const log = await reader.logs({ stdout: true });
      assert.equal((await demultiplexed(docker, Readable.from([log]))).stdout, 'stays\n');
      const volume = docker.getVolume('kept');
      await rejects(volume.remove(), 409, /volume is in use/);
      assert.deepEqual((await volume.inspect()).Labels, { of: 'test' });
      const { Volumes } = await docker.listVolumes({ filters: { name: ['kept'] } });
      assert.deepEqual(
        Volumes.map(({ Name }) => Name),
        ['kept'],
      );
      await Promise.all([writer, reader].map((container) => container.remove()));
      // Since API 1.42 a prune leaves named volumes unless it is told otherwise.
      const older = new Docker({ socketPath: daemon.socket, version: 'v1.41' });
      const pruned = await older.pruneVolumes({ filters: { label: ['of=test'] } });
      assert.deepEqual(pruned.VolumesDeleted, ['kept']);
    });

    check('ping, version, info, df', async (_api, daemon) => {
      const docker = client(daemon);
      assert.equal(String(await docker.ping()), 'OK');
      const version = await docker.version();
      assert.equal(version.Os, 'linux');
      const info = (await docker.info()) as { Containers: number; Images: number; Name: string };
      assert.ok(info.Images >= 2 && info.Name.length > 0);
      const usage = (await docker.df()) as { Images: unknown[]; Volumes: unknown[] };
      assert.ok(usage.Images.length >= 2 && Array.isArray(usage.Volumes));
    });

    check('the built-in networks', async (_api, daemon) => {
      const docker = client(daemon);
      const names = (await docker.listNetworks()).map(({ Name }) => Name);
      assert.deepEqual(names.sort(), ['bridge', 'host', 'none']);
      const bridge = await docker.getNetwork('bridge').inspect();
      assert.equal(bridge.Driver, 'bridge');
    });
  },
  ['hull'],
);
