import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ABSENT_VERBS } from './absent-verbs.ts';
import { CLIENT_VERSION } from './client-version.ts';
import { COMMANDS, GROUPS } from './command-table.ts';
import { type Answer, Capture, daemon, hull, json } from './daemon.fixture.ts';
import { flagSpecs } from './help.ts';
import { runProgram } from './program.ts';

const ID = 'c'.repeat(64);

const RUN: Record<string, Answer> = {
  'POST /containers/create': json(201, { Id: ID, Warnings: [] }),
  [`POST /containers/${ID}/wait`]: json(200, { StatusCode: 0 }),
  [`POST /containers/${ID}/start`]: (_, response) => response.writeHead(204).end(),
};

const OUTPUT = Buffer.concat([
  Buffer.from([1, 0, 0, 0, 0, 0, 0, 4]),
  Buffer.from('out\n'),
  Buffer.from([2, 0, 0, 0, 0, 0, 0, 4]),
  Buffer.from('err\n'),
]);

test('hull run creates, attaches, waits, and only then starts', async (t) => {
  const state = await daemon(
    t,
    { ...RUN, [`POST /containers/${ID}/wait`]: json(200, { StatusCode: 7 }) },
    OUTPUT,
  );
  const result = await hull(state, ['run', '--rm', 'busybox', 'true']);
  assert.deepEqual(result, { code: 7, stdout: 'out\n', stderr: 'err\n' });
  assert.equal(state.asked[0], 'POST /containers/create');
  assert.equal(state.asked.at(-1), `POST /containers/${ID}/start`);
  assert.deepEqual(state.asked.slice(1, 3).sort(), [
    `POST /containers/${ID}/attach?stderr=1&stdout=1&stream=1`,
    `POST /containers/${ID}/wait?condition=removed`,
  ]);
});

test('hull run -i sends stdin and then closes its half of the stream', async (t) => {
  const state = await daemon(t, RUN);
  const result = await hull(state, ['run', '-i', 'busybox', 'cat'], 'hello\n');
  assert.deepEqual(result, { code: 0, stdout: 'hello\n', stderr: '' });
});

test('hull run -d prints the id and neither attaches nor waits', async (t) => {
  const state = await daemon(t, RUN);
  const result = await hull(state, ['container', 'run', '-d', '--name', 'a b', 'busybox']);
  assert.deepEqual(result, { code: 0, stdout: `${ID}\n`, stderr: '' });
  assert.deepEqual(state.asked, ['POST /containers/create?name=a%20b', `POST /containers/${ID}/start`]);
});

test("hull run has docker's exit codes for a start that fails", async (t) => {
  const cases: [string, number][] = [
    ['exec: "x": executable file not found in $PATH: unknown', 127],
    ['exec: "/etc/passwd": permission denied: unknown', 126],
    ['address already in use', 125],
  ];
  for (const [message, code] of cases) {
    const state = await daemon(t, { ...RUN, [`POST /containers/${ID}/start`]: json(400, { message }) });
    const result = await hull(state, ['run', 'busybox', 'x']);
    assert.deepEqual(result, {
      code,
      stdout: '',
      stderr: `hull: Error response from daemon: ${message}\n\nRun 'hull run --help' for more information\n`,
    });
  }
});

test('hull run pulls an image that is missing, once', async (t) => {
  let created = 0;
  const state = await daemon(t, {
    ...RUN,
    'POST /containers/create': (request, response) => {
      created++;
      const missing = json(404, { message: 'No such image: nosuch:latest' });
      (created === 1 ? missing : json(201, { Id: ID }))(request, response);
    },
    'POST /images/create': json(200, { status: 'Pulling from library/nosuch', id: 'latest' }),
  });
  const result = await hull(state, ['run', '-d', 'nosuch']);
  assert.deepEqual(result, {
    code: 0,
    stdout: `${ID}\n`,
    stderr: "Unable to find image 'nosuch:latest' locally\nlatest: Pulling from library/nosuch\n",
  });
  assert.deepEqual(state.asked[1], 'POST /images/create?fromImage=docker.io%2Flibrary%2Fnosuch&tag=latest');
});

test("hull lowers its API version to an older daemon's, for all requests under way", async (t) => {
  const old: Answer = (request, response) => {
    const known = request.url?.startsWith('/v1.41/') ?? false;
    const tooNew = 'client version 1.50 is too new. Maximum supported API version is 1.41';
    json(known ? 200 : 400, known ? { Id: ID } : { message: tooNew })(request, response);
  };
  const state = await daemon(t, { 'POST /containers/a/stop': old, 'POST /containers/b/stop': old });
  assert.deepEqual(await hull(state, ['stop', 'a', 'b']), { code: 0, stdout: 'a\nb\n', stderr: '' });
});

test('hull stop goes on after a failure and tells it at the end', async (t) => {
  const state = await daemon(t, {
    'POST /containers/b/stop': (_, response) => response.writeHead(204).end(),
  });
  const result = await hull(state, ['stop', '-t', '3', 'a', 'b']);
  assert.deepEqual(result, {
    code: 1,
    stdout: 'b\n',
    stderr: 'Error response from daemon: page not found: POST /containers/a/stop\n',
  });
  assert.ok(state.asked.includes('POST /containers/b/stop?t=3'));
});

test('hull load sends the archive chunked, after asking which version is spoken', async (t) => {
  const state = await daemon(t, {
    'HEAD /_ping': (_, response) => response.writeHead(200, { 'Api-Version': '1.56' }).end(),
    'POST /images/load': json(200, { stream: 'Loaded image: busybox:latest\n' }),
  });
  const result = await hull(state, ['load'], 'x'.repeat(300_000));
  assert.deepEqual(result, { code: 0, stdout: 'Loaded image: busybox:latest\n', stderr: '' });
  assert.equal(state.bodies.at(-1)?.length, 300_000);
});

test('hull inspect prints documents as they are, and names what is not there', async (t) => {
  const text = '{"Id":"x","Big":9223372036854775807,"Html":"\\u003c","Empty":{}}';
  const state = await daemon(t, { 'GET /containers/x/json': (_, response) => response.end(text) });
  const result = await hull(state, ['inspect', 'x', 'y']);
  assert.deepEqual(result, {
    code: 1,
    stdout:
      '[\n    {\n        "Id": "x",\n        "Big": 9223372036854775807,\n        "Html": "\\u003c",\n        "Empty": {}\n    }\n]\n',
    stderr: 'Error: No such object: y\n',
  });
  const formatted = await hull(state, [
    'inspect',
    '-f',
    '{{.ID}} {{.Big}} {{.State}} {{.RestartCount}}',
    'x',
  ]);
  assert.deepEqual(formatted, { code: 0, stdout: 'x 9223372036854775807 <nil> 0\n', stderr: '' });
});

/** Command line, exit code, and the first line of stderr: docker 28's, with our name for its. */
const MISTAKES: readonly [string[], number, string][] = [
  [['run', '--x'], 125, 'unknown flag: --x'],
  [['run'], 1, "hull: 'hull run' requires at least 1 argument"],
  [['rename', 'a'], 1, "hull: 'hull rename' requires 2 arguments"],
  [['ps', 'a'], 1, "hull: 'hull ps' accepts no arguments"],
  [['container', 'rm'], 1, "hull: 'hull container rm' requires at least 1 argument"],
  [['volume', 'create', 'a', 'b'], 1, "hull: 'hull volume create' requires at most 1 argument"],
  [['foo'], 1, 'hull: unknown command: hull foo'],
  [
    ['volume', 'update'],
    1,
    "hull: 'hull volume update' is not there: hull has no swarm mode: clusters drive it through Kubernetes",
  ],
  [
    ['compose', 'up'],
    1,
    `hull: 'hull compose' is not there: hull runs no plugins; "docker compose" with DOCKER_HOST set to hull's socket works`,
  ],
  [['help', 'nope'], 1, 'unknown help topic: nope'],
  [['container', 'foo'], 1, 'hull: unknown command: hull container foo'],
  [['--foo'], 125, 'unknown flag: --foo'],
  [['run', 'BAD'], 125, 'hull: invalid reference format: repository name (library/BAD) must be lowercase'],
  [
    ['run', '--rm', '--restart', 'always', 'x'],
    125,
    'hull: conflicting options: cannot specify both --restart and --rm',
  ],
  [['run', '-d', '-a', 'stdout', 'x'], 1, 'conflicting options: cannot specify both --attach and --detach'],
  [['run', '-it', 'busybox'], 1, 'the input device is not a TTY'],
  [
    ['-H', 'unix:///nosuch', 'ps'],
    1,
    'Cannot connect to the Hull daemon at unix:///nosuch. Is the hull daemon running?',
  ],
];

for (const [argv, code, message] of MISTAKES) {
  test(`hull ${argv.join(' ')}: ${message}`, async () => {
    const result = await hull({ host: 'unix:///nosuch' }, argv);
    assert.equal(result.stderr.split('\n')[0], message);
    assert.equal(result.code, code);
  });
}

test('hull starts a daemon only behind the default socket', async () => {
  let asked = 0;
  const terminal = new Capture('');
  const startDaemon = async (): Promise<void> => {
    asked++;
    throw new Error('no daemon here');
  };
  const options = { version: CLIENT_VERSION, terminal, startDaemon };
  await runProgram(['ps'], { ...options, env: { DOCKER_HOST: 'unix:///nosuch' } });
  await runProgram(['-H', 'unix:///nosuch', 'ps'], { ...options, env: {} });
  assert.equal(asked, 0);
});

test('every command has help that begins with its usage', async () => {
  for (const entry of COMMANDS) {
    const terminal = new Capture('');
    const argv = [...entry.path.split(' '), '--help'];
    assert.equal(await runProgram(argv, { version: CLIENT_VERSION, terminal, env: {} }), 0);
    assert.ok(terminal.stdout.startsWith(`Usage:  hull ${entry.path}`), entry.path);
    assert.ok(terminal.stdout.includes(entry.aliases.map((name) => `, hull ${name}`).join('')));
  }
});

test('hull run has all the flags of docker 28', async () => {
  const run = COMMANDS.find((entry) => entry.path === 'container run');
  const visible = flagSpecs((await run?.load()) ?? assert.fail()).filter((spec) => !spec.hidden);
  assert.equal(visible.length, 100);
});

test("CLIENT_VERSION is the package's", () => {
  const text = readFileSync(path.join(import.meta.dirname, '../../package.json'), 'utf8');
  assert.equal((JSON.parse(text) as { version: string }).version, CLIENT_VERSION);
});

test('what is told to be not there is not there', () => {
  const there = COMMANDS.flatMap((entry) => [entry.path, ...entry.aliases]);
  assert.deepEqual(
    Object.keys(ABSENT_VERBS).filter((verb) => there.includes(verb) || Object.hasOwn(GROUPS, verb)),
    [],
  );
});
