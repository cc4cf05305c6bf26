import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { field, type Api } from '../api/client.ts';
import { onEveryEngine } from '../api/engines.ts';
import type { Daemon } from '../daemons.ts';

/** Debian's docker-compose (1.29), which speaks through docker-py: several services on the default bridge, by their own commands. */
const COMPOSE = `
version: "2.4"
x-service: &service
  image: busybox
  network_mode: bridge
  stop_grace_period: 1s
services:
  db:
    <<: *service
    command: sh -c 'echo "db ready"; touch /data/ready; trap "exit 0" TERM; while :; do sleep 0.1; done'
    volumes: [data:/data]
    healthcheck: { test: ["CMD", "test", "-e", "/data/ready"], interval: 300ms, timeout: 5s, retries: 30 }
  web:
    <<: *service
    command: sh -c 'mkdir /www; echo "$\${GREETING}" > /www/index.html; echo "web serves" >&2; exec httpd -f -h /www'
    depends_on: { db: { condition: service_healthy } }
    links: [db:database]
    environment: { GREETING: "\${GREETING:-hello}" }
    ports: ["127.0.0.1::80"]
    volumes: [./mounted:/mounted:ro, data:/data:ro]
    labels: { role: front }
    mem_limit: 64m
    cap_drop: [MKNOD]
    tmpfs: [/scratch]
    extra_hosts: ["elsewhere:10.1.2.3"]
    restart: on-failure
  worker:
    <<: *service
    command: sh -c 'echo "worker $$(hostname)"; exec sleep 60'
    scale: 2
volumes:
  data: {}
`;

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** A project in a directory of its own; its end takes it down, volumes too. */
class Project implements AsyncDisposable {
  readonly directory: string = mkdtempSync(path.join(tmpdir(), 'compose-'));
  readonly #daemon: Daemon;

  constructor(daemon: Daemon, file = COMPOSE) {
    this.#daemon = daemon;
    writeFileSync(path.join(this.directory, 'docker-compose.yml'), file);
    writeFileSync(path.join(this.directory, 'mounted'), 'of the host\n');
  }

  run(args: string[], environment: Record<string, string> = {}): Promise<Ran> {
    const options = {
      cwd: this.directory,
      timeout: 45_000,
      env: {
        PATH: process.env.PATH,
        HOME: this.directory,
        DOCKER_HOST: this.#daemon.host,
        COMPOSE_PROJECT_NAME: 'proj',
        COMPOSE_INTERACTIVE_NO_CLI: '1',
        LC_ALL: 'C.UTF-8',
        ...environment,
      },
    };
    return new Promise((resolve) => {
      const child = execFile(
        'docker-compose',
        ['--ansi', 'never', ...args],
        options,
        (error, stdout, stderr) => {
          const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
          resolve({ code, stdout, stderr });
        },
      );
      child.stdin?.end();
    });
  }

  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    assert.equal(code, 0, `docker-compose ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(['down', '--volumes', '--timeout', '0']);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function states(api: Api): Promise<Record<string, string>> {
  const list = (await api.get('/containers/json?all=1').is(200)) as { Names: string[]; State: string }[];
  return Object.fromEntries(list.map(({ Names, State }) => [Names[0]?.slice(1), State]));
}

const ALL = ['proj_db_1', 'proj_web_1', 'proj_worker_1', 'proj_worker_2'];

function all(state: string): Record<string, string> {
  return Object.fromEntries(ALL.map((name) => [name, state]));
}

onEveryEngine(
  'docker-compose',
  ({ check }) => {
    check('config', async (_api, daemon) => {
      await using project = new Project(daemon);
      assert.match(await project.ok('config'), /GREETING: hello/);
    });

    check('up by health, and what there is to see and do', async (api, daemon) => {
      await using project = new Project(daemon);
      const up = await project.run(['up', '-d'], { GREETING: 'good day' });
      assert.equal(up.code, 0, up.stderr);
      assert.deepEqual(await states(api), all('running'));
      await api.get('/containers/proj_web_1/json').is(200, {
        HostConfig: { Memory: 64 << 20, CapDrop: ['MKNOD'], RestartPolicy: { Name: 'on-failure' } },
        Config: { Labels: { role: 'front', 'com.docker.compose.service': 'web' } },
      });
      await api
        .get('/containers/proj_db_1/json')
        .is(200, { State: { Health: { Status: 'healthy' } }, Mounts: [{ Name: 'proj_data' }] });

      const ps = await project.ok('ps');
      assert.match(ps, /proj_db_1 .* Up \(healthy\)/);
      assert.match(ps, /proj_web_1 .* Up .* 127\.0\.0\.1:\d+->80\/tcp/);
      assert.match(ps, /proj_worker_2 .* Up/);
      const logs = await project.ok('logs', '--tail=5');
      assert.match(logs, /^db_1 +\| db ready$/m);
      assert.match(logs, /^web_1 +\| web serves$/m);
      assert.match(logs, /^worker_2 +\| worker [0-9a-f]{12}$/m);
      const address = (await project.ok('port', 'web', '80')).trim();
      assert.equal(await (await fetch(`http://${address}/`)).text(), 'good day\n');
      const line =
        'cat /mounted; grep elsewhere /etc/hosts; ping -c 1 -w 5 database >/dev/null && echo linked; df /scratch | tail -1 | cut -d" " -f1; exit 4';
      const inside = await project.run(['exec', '-T', 'web', 'sh', '-c', line]);
      assert.deepEqual(
        [inside.stdout, inside.code],
        ['of the host\n10.1.2.3\telsewhere\nlinked\ntmpfs\n', 4],
      );
      // It attaches only after the start, whatever comes before that is lost.
      const once = await project.run([
        'run',
        '--rm',
        '-T',
        '--no-deps',
        'worker',
        'sh',
        '-c',
        'sleep 3; echo once; exit 6',
      ]);
      assert.deepEqual([once.stdout, once.code], ['once\n', 6], once.stderr);
    });

    check('what has changed is made anew, the rest stays; stopped, started, down', async (api, daemon) => {
      await using project = new Project(daemon);
      await project.ok('up', '-d');
      const ids = async (): Promise<string[]> => {
        const containers = ['web', 'db'].map((name) => api.get(`/containers/proj_${name}_1/json`).is(200));
        return (await Promise.all(containers)).map((container) => field(container, 'Id'));
      };
      const [web, db] = await ids();
      const again = await project.run(['up', '-d', '--scale', 'worker=1'], { GREETING: 'changed' });
      assert.equal(again.code, 0, again.stderr);
      assert.deepEqual(Object.keys(await states(api)).toSorted(), ALL.slice(0, 3));
      const [newWeb, sameDb] = await ids();
      assert.deepEqual([newWeb === web, sameDb], [false, db]);

      await project.ok('pause', 'worker');
      assert.equal((await states(api))['proj_worker_1'], 'paused');
      await project.ok('unpause', 'worker');
      await project.ok('stop', '-t', '1');
      assert.ok(Object.values(await states(api)).every((state) => state === 'exited'));
      await api.get('/containers/proj_db_1/json').is(200, { State: { ExitCode: 0 } });
      await project.ok('start');
      assert.ok(Object.values(await states(api)).every((state) => state === 'running'));
      await project.ok('down', '-v', '-t', '1');
      assert.deepEqual(await states(api), {});
      await api.get('/volumes/proj_data').is(404);
    });

    check(
      'up in the foreground shows the output and ends with the code of the one asked for',
      async (_api, daemon) => {
        await using project = new Project(
          daemon,
          `
version: "2.4"
services:
  long: { image: busybox, network_mode: bridge, command: sleep 60, stop_grace_period: 0s }
  short: { image: busybox, network_mode: bridge, command: sh -c 'sleep 0.3; echo said; exit 9' }
`,
        );
        const { code, stdout } = await project.run(['up', '-t', '0', '--exit-code-from', 'short']);
        assert.equal(code, 9);
        assert.match(stdout, /^short_1 +\| said$/m);
      },
    );
  },
  ['hull'],
);
