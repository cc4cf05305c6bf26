import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { daemon, hull, json } from '../daemon.fixture.ts';
import { proxyVariables, readClientConfig } from './client-config.ts';
import { chooseEndpoint, DEFAULT_HOST } from './endpoint-choice.ts';

/** A `~/.docker` of its own. */
function home(t: TestContext, config: unknown = {}, contexts: Record<string, object> = {}): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-config-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  writeFileSync(path.join(directory, 'config.json'), text);
  for (const [name, endpoint] of Object.entries(contexts)) {
    const id = createHash('sha256').update(name).digest('hex');
    mkdirSync(path.join(directory, 'contexts/meta', id), { recursive: true });
    const document = { Name: name, Metadata: {}, Endpoints: { docker: endpoint } };
    writeFileSync(path.join(directory, 'contexts/meta', id, 'meta.json'), JSON.stringify(document));
  }
  return directory;
}

test('readClientConfig() leaves aside what is not there, and tells of what cannot be read', (t) => {
  const warnings: string[] = [];
  const warn = (text: string): number => warnings.push(text);
  assert.deepEqual(readClientConfig('/nosuch', warn), {});
  assert.deepEqual(readClientConfig(home(t, { psFormat: 'x' }), warn), { psFormat: 'x' });
  assert.deepEqual(warnings, []);
  assert.deepEqual(readClientConfig(home(t, '{bad'), warn), {});
  assert.match(warnings.join(''), /^WARNING: Error parsing config file \(.*config\.json\): /);
});

test('proxyVariables() gives both spellings of what the command line does not set', () => {
  const config = {
    proxies: { default: { httpProxy: 'http://p', noProxy: 'a,b' }, 'tcp://h:1': { allProxy: 'socks://s' } },
  };
  assert.deepEqual(proxyVariables(config, 'unix:///x', ['http_proxy=mine', 'A=b']), [
    'HTTP_PROXY=http://p',
    'NO_PROXY=a,b',
    'no_proxy=a,b',
  ]);
  assert.deepEqual(proxyVariables(config, 'tcp://h:1', []), ['ALL_PROXY=socks://s', 'all_proxy=socks://s']);
  assert.deepEqual(proxyVariables({}, 'unix:///x', []), []);
});

test('chooseEndpoint() follows the environment before the context of the configuration', async (t) => {
  const directory = home(t, {}, { far: { Host: 'tcp://far:2375' }, other: { Host: 'unix:///other' } });
  const choose = async (env: Record<string, string>, currentContext?: string): Promise<string> => {
    const config = currentContext === undefined ? {} : { currentContext };
    const all = { DOCKER_CONFIG: directory, ...env };
    const { endpoint, context } = await chooseEndpoint(undefined, all, config, undefined);
    return `${context} ${endpoint.name}`;
  };
  assert.equal(await choose({}), `default ${DEFAULT_HOST}`);
  assert.equal(await choose({}, 'far'), 'far tcp://far:2375');
  assert.equal(await choose({ DOCKER_CONTEXT: 'other' }, 'far'), 'other unix:///other');
  assert.equal(
    await choose({ DOCKER_HOST: 'unix:///x', DOCKER_CONTEXT: 'other' }, 'far'),
    'default unix:///x',
  );
  assert.equal(await choose({ HULL_HOST: 'unix:///h', DOCKER_HOST: 'unix:///x' }), 'default unix:///h');
});

test('hull refuses a context that is not there, two hosts, and TLS without its files', async (t) => {
  const DOCKER_CONFIG = home(t);
  const cases: [string[], RegExp][] = [
    [
      ['--context', 'nope', 'ps'],
      /^Failed to initialize: .*context "nope": context not found: open .*meta.json/,
    ],
    [['-H', 'a', '-H', 'b', 'ps'], /^Failed to initialize: .*Specify only one -H$/m],
    [['-H', 'a', '-c', 'b', 'ps'], /^conflicting options: cannot specify both --host and --context$/m],
    [['--tls', '-H', 'tcp://localhost:1', 'ps'], /open .*ca\.pem: no such file or directory$/m],
    [['-l', 'loud', 'ps'], /^Unable to parse logging level: loud$/m],
  ];
  for (const [argv, message] of cases) {
    const result = await hull({ host: 'unix:///nosuch' }, argv, '', { DOCKER_CONFIG });
    assert.match(result.stderr, message);
    assert.equal(result.code, 1);
  }
});

test('hull takes formats, headers and detach keys from the configuration', async (t) => {
  const row = {
    Id: 'a'.repeat(64),
    Names: ['/web'],
    Image: 'x',
    Command: '',
    Created: 0,
    State: '',
    Status: '',
  };
  const headers: unknown[] = [];
  const state = await daemon(t, {
    'GET /containers/json': (request, response) => {
      headers.push(request.headers['x-custom']);
      json(200, [row])(request, response);
    },
    'POST /containers/web/exec': json(201, { Id: 'e' }),
    'POST /exec/e/start': json(200, null),
  });
  const DOCKER_CONFIG = home(t, {
    psFormat: 'it is {{.Names}}',
    HttpHeaders: { 'X-Custom': 'yes' },
    detachKeys: 'ctrl-x',
  });
  const run = (argv: string[]): ReturnType<typeof hull> => hull(state, argv, '', { DOCKER_CONFIG });
  assert.equal((await run(['ps'])).stdout, 'it is web\n');
  assert.equal((await run(['ps', '-q'])).stdout, `${'a'.repeat(12)}\n`);
  assert.equal((await run(['ps', '--format', '{{.ID}}'])).stdout, `${'a'.repeat(12)}\n`);
  assert.deepEqual(headers, ['yes', 'yes', 'yes']);
  await run(['exec', '-d', 'web', 'true']);
  assert.match(state.bodies.join('\n'), /"DetachKeys":"ctrl-x"/);
});

test('hull create gives containers the proxies of the configuration', async (t) => {
  const state = await daemon(t, { 'POST /containers/create': json(201, { Id: 'c' }) });
  const DOCKER_CONFIG = home(t, { proxies: { default: { httpsProxy: 'http://p:1' } } });
  await hull(state, ['create', '-e', 'A=b', 'busybox'], '', { DOCKER_CONFIG });
  const { Env } = JSON.parse(state.bodies[0] ?? '') as { Env: string[] };
  assert.deepEqual(Env, ['A=b', 'HTTPS_PROXY=http://p:1', 'https_proxy=http://p:1']);
});

test('hull context shows and chooses contexts, and gets out of one that has gone', async (t) => {
  const DOCKER_CONFIG = home(t, { auths: { r: {} } }, { far: { Host: 'tcp://far:2375' } });
  const run = (...argv: string[]): ReturnType<typeof hull> =>
    hull({ host: '' }, ['context', ...argv], '', { DOCKER_CONFIG });
  assert.deepEqual(await run('use', 'far'), {
    code: 0,
    stdout: 'far\n',
    stderr: 'Current context is now "far"\n',
  });
  assert.equal((await run('show')).stdout, 'far\n');
  assert.deepEqual((await run('ls')).stdout.trimEnd().split(/ *\n/), [
    'NAME      DESCRIPTION                               DOCKER ENDPOINT              ERROR',
    `default   Current DOCKER_HOST based configuration   ${DEFAULT_HOST}`,
    'far *                                               tcp://far:2375',
  ]);
  assert.equal((await run('inspect', '-f', '{{.Endpoints.docker.Host}}')).stdout, 'tcp://far:2375\n');
  assert.match((await run('use', 'nope')).stderr, /^context "nope": context not found: /);
  rmSync(path.join(DOCKER_CONFIG, 'contexts'), { recursive: true });
  assert.match((await hull({ host: '' }, ['ps'], '', { DOCKER_CONFIG })).stderr, /^Failed to initialize: /);
  assert.equal((await run('use', 'default')).code, 0);
  assert.deepEqual(readClientConfig(DOCKER_CONFIG, assert.fail), { auths: { r: {} } });
});
