import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { after } from 'node:test';

import { onEveryEngine } from '../api/engines.ts';
import type { Daemon } from '../daemons.ts';
import { tar } from '../tar-writer.ts';

/**
 * Testcontainers for Node looks for its engine once in a process, by DOCKER_HOST: a link that leads to the daemon of the check.
 * Its reaper is an image of its own that no machine without a registry has; the daemon of the test goes anyway.
 */
const directory = mkdtempSync(path.join(tmpdir(), 'testcontainers-'));
const link = path.join(directory, 'engine.sock');
process.env.DOCKER_HOST = `unix://${link}`;
process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
after(() => rmSync(directory, { recursive: true, force: true }));

const { GenericContainer, Wait } = await import('testcontainers');

const WEB = 'mkdir -p /www; echo up > /www/health; sleep 0.3; echo listening; exec httpd -f -p 8080 -h /www';

function shell(daemon: Daemon, line: string): InstanceType<typeof GenericContainer> {
  rmSync(link, { force: true });
  symlinkSync(daemon.socket, link);
  return new GenericContainer('busybox:latest').withCommand(['sh', '-c', line]).withStartupTimeout(15_000);
}

onEveryEngine(
  'testcontainers',
  ({ check }) => {
    check('waits for the ports, which are mapped', async (_api, daemon) => {
      await using container = await shell(daemon, WEB).withExposedPorts(8080).start();
      const url = `http://${container.getHost()}:${container.getMappedPort(8080)}/health`;
      assert.equal(await (await fetch(url)).text(), 'up\n');
      assert.equal(container.getFirstMappedPort(), container.getMappedPort('8080/tcp'));
      assert.deepEqual(container.getNetworkNames(), ['bridge']);
      assert.match(container.getIpAddress('bridge'), /^\d+\.\d+\.\d+\.\d+$/);
    });

    check('waits for a line of the log, the third time', async (_api, daemon) => {
      await using container = await shell(
        daemon,
        'for i in 1 2 3; do sleep 0.1; echo "ready $i"; done; exec sleep 60',
      )
        .withWaitStrategy(Wait.forLogMessage(/ready \d/, 3))
        .start();
      const { output } = await container.exec(['echo', 'there']);
      assert.equal(output, 'there\n');
    });

    check('waits for an answer over HTTP', async (_api, daemon) => {
      await using container = await shell(daemon, WEB)
        .withExposedPorts(8080)
        .withWaitStrategy(
          Wait.forHttp('/health', 8080)
            .forStatusCode(200)
            .forResponsePredicate((body) => body === 'up\n'),
        )
        .start();
      assert.ok(container.getMappedPort(8080) > 0);
    });

    check('waits for the health check', async (_api, daemon) => {
      await using container = await shell(daemon, 'sleep 0.5; touch /healthy; exec sleep 60')
        .withHealthCheck({
          test: ['CMD-SHELL', 'test -e /healthy'],
          interval: 300,
          timeout: 2000,
          retries: 30,
        })
        .withWaitStrategy(Wait.forHealthCheck())
        .start();
      const { exitCode } = await container.exec('test -e /healthy');
      assert.equal(exitCode, 0);
    });

    check(
      'waits for a command that succeeds, for a program that has ended, for all of several',
      async (_api, daemon) => {
        await using command = await shell(daemon, 'sleep 0.3; touch /done; echo done; exec sleep 60')
          .withWaitStrategy(
            Wait.forAll([Wait.forSuccessfulCommand('test -e /done'), Wait.forLogMessage('done')]),
          )
          .start();
        assert.ok(command.getId());
        await using once = await shell(daemon, 'echo once')
          .withWaitStrategy(Wait.forOneShotStartup())
          .start();
        assert.equal(await text(await once.logs()), 'once\n');
      },
    );

    check('says so when what it waits for does not come', async (_api, daemon) => {
      await assert.rejects(
        shell(daemon, 'echo never; exec sleep 60')
          .withStartupTimeout(300)
          .withWaitStrategy(Wait.forLogMessage('ready'))
          .start(),
        /not received after 300ms/,
      );
    });

    check(
      'passes environment, labels, user, limits, temporary filesystems, hosts, mounts',
      async (_api, daemon) => {
        const file = path.join(directory, 'mounted');
        writeFileSync(file, 'from the host\n');
        await using container = await shell(daemon, 'exec sleep 60')
          .withName('configured')
          .withHostname('boxy')
          .withEnvironment({ COLOR: 'blue' })
          .withLabels({ role: 'test' })
          .withUser('alice')
          .withWorkingDir('/tmp')
          .withTmpFs({ '/scratch': 'rw,size=1m' })
          .withExtraHosts([{ host: 'db', ipAddress: '10.1.2.3' }])
          .withBindMounts([{ source: file, target: '/mounted', mode: 'ro' }])
          .withResourcesQuota({ memory: 0.0625, cpu: 0.5 })
          .withUlimits({ nofile: { soft: 100, hard: 200 } })
          .withSharedMemorySize(1 << 20)
          .withDroppedCapabilities('CHOWN')
          .withPrivilegedMode()
          .start();
        const seen = await container.exec([
          'sh',
          '-c',
          'echo $COLOR; id -un; pwd; hostname; df /scratch | tail -1 | cut -d " " -f 1; grep db /etc/hosts; cat /mounted; ulimit -n; echo x > /mounted',
        ]);
        assert.deepEqual(seen.stdout.split('\n').slice(0, 8), [
          'blue',
          'alice',
          '/tmp',
          'boxy',
          'tmpfs',
          '10.1.2.3\tdb',
          'from the host',
          '100',
        ]);
        assert.match(seen.stderr, /Read-only file system/);
        assert.equal(container.getName(), '/configured');
        assert.equal(container.getLabels().role, 'test');
      },
    );

    check(
      'copies files, directories and content in, before and after the start, and out again',
      async (_api, daemon) => {
        const source = path.join(directory, 'tree');
        mkdirSync(source, { recursive: true });
        writeFileSync(path.join(source, 'file'), 'copied\n');
        await using container = await shell(daemon, 'cat /in/content /in/file /dir/file; exec sleep 60')
          .withCopyContentToContainer([{ content: 'content\n', target: '/in/content', mode: 0o640 }])
          .withCopyFilesToContainer([{ source: path.join(source, 'file'), target: '/in/file' }])
          .withCopyDirectoriesToContainer([{ source, target: '/dir' }])
          .withWaitStrategy(Wait.forLogMessage('copied', 2))
          .start();
        await container.copyContentToContainer([{ content: 'later\n', target: '/tmp/later' }]);
        await container.copyFilesToContainer([{ source: path.join(source, 'file'), target: '/tmp/file' }]);
        await container.copyArchiveToContainer(
          Readable.from([tar([{ name: 'packed', data: 'packed\n' }])]),
          '/tmp',
        );
        const { output } = await container.exec('cat /tmp/later /tmp/file /tmp/packed');
        assert.equal(output, 'later\ncopied\npacked\n');
        const archive = await buffer(await container.copyArchiveFromContainer('/tmp/later'));
        assert.ok(archive.includes('later\n'));
      },
    );

    check('exec: user, directory, environment, both streams, the exit code', async (_api, daemon) => {
      await using container = await shell(daemon, 'exec sleep 60').start();
      const result = await container.exec(['sh', '-c', 'id -un; pwd; echo $WORD >&2; exit 5'], {
        user: 'alice',
        workingDir: '/home',
        env: { WORD: 'hello' },
      });
      assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['alice\n/home\n', 'hello\n', 5]);
    });

    check('logs are followed by a consumer', async (_api, daemon) => {
      const lines: string[] = [];
      let ended: (() => void) | undefined;
      const end = new Promise<void>((resolve) => (ended = resolve));
      await using container = await shell(daemon, 'echo first; sleep 0.3; echo second >&2')
        .withWaitStrategy(Wait.forLogMessage('first'))
        .withLogConsumer((stream) => {
          stream.on('data', (line: Buffer | string) => lines.push(String(line)));
          stream.on('end', () => ended?.());
        })
        .start();
      await end;
      assert.equal(lines.join(''), 'first\nsecond\n');
      assert.ok(container.getId());
    });

    check('restart keeps the container and waits for it again', async (_api, daemon) => {
      await using container = await shell(daemon, `echo boot >> /boots; ${WEB}`)
        .withExposedPorts(8080)
        .start();
      await container.restart({ timeout: 0 });
      const url = `http://${container.getHost()}:${container.getMappedPort(8080)}/health`;
      assert.equal(await (await fetch(url)).text(), 'up\n');
      assert.equal((await container.exec('cat /boots')).output, 'boot\nboot\n');
    });

    check('a container is reused', async (_api, daemon) => {
      const reusable = () =>
        shell(daemon, 'exec sleep 60').withName('reused').withLabels({ kept: 'yes' }).withReuse();
      const first = await reusable().start();
      const second = await reusable().start();
      assert.equal(second.getId(), first.getId());
      await first.stop({ remove: false });
      const third = await reusable().start();
      assert.equal(third.getId(), first.getId());
    });

    check('stop keeps or removes, and what is stopped can still be read', async (api, daemon) => {
      const container = await shell(daemon, 'echo kept > /file; exec sleep 60').start();
      const stopped = await container.stop({ remove: false, timeout: 0 });
      const archive = await buffer(await stopped.copyArchiveFromContainer('/file'));
      assert.ok(archive.includes('kept\n'));
      await api.get(`/containers/${container.getId()}/json`).is(200, { State: { Status: 'exited' } });
      const other = await shell(daemon, 'exec sleep 60').start();
      await other.stop();
      await api.get(`/containers/${other.getId()}/json`).is(404);
    });

    check('commit makes an image that runs', async (_api, daemon) => {
      await using container = await shell(daemon, 'echo kept > /file; exec sleep 60').start();
      const id = await container.commit({ repo: 'snapshots/mine', tag: 'v1', deleteOnExit: false });
      assert.match(id, /^sha256:/);
      await using again = await new GenericContainer('snapshots/mine:v1')
        .withCommand(['sh', '-c', 'cat /file; exec sleep 60'])
        .withWaitStrategy(Wait.forLogMessage('kept'))
        .start();
      assert.ok(again.getId());
    });
  },
  ['hull'],
);
