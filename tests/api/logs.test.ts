import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';

import { demultiplex, field, type Api } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Options = Record<string, string>;

const withLog = (Type: string, Config: Options = {}): Record<string, unknown> => ({
  HostConfig: { LogConfig: { Type, Config } },
});

async function finished(api: Api, line: string, body: Record<string, unknown> = {}): Promise<string> {
  const id = await api.run(line, body);
  await api.post(`/containers/${id}/wait`).is(200);
  return id;
}

async function logs(api: Api, id: string, query = ''): Promise<string> {
  const reply = await api.get(`/containers/${id}/logs?stdout=1&stderr=1${query}`).reply();
  assert.equal(reply.status, 200, reply.body.toString());
  return demultiplex(reply.body).stdout;
}

/** Hull says at create what Docker says at the start, in the same words; both are what `docker run` shows. */
async function refuses(api: Api, type: string, options: Options, message: RegExp): Promise<void> {
  const reply = await api
    .post('/containers/create', { Image: 'busybox', Cmd: ['true'], ...withLog(type, options) })
    .reply();
  if (reply.status === 201) {
    const id = field(JSON.parse(reply.body.toString()), 'Id');
    await api.post(`/containers/${id}/start`).is([400, 500], { message });
  } else {
    assert.equal(reply.status, 400);
    assert.match(reply.body.toString(), message);
  }
}

const numbers = (text: string): number[] => text.trim().split('\n').map(Number);
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

onEveryEngine('log drivers', ({ check }) => {
  const refusals: [string, Options, RegExp][] = [
    ['json-file', { nosuch: '1' }, /unknown log opt 'nosuch' for json-file log driver/],
    ['local', { nosuch: '1' }, /unknown log opt 'nosuch' for log driver local/],
    ['syslog', { nosuch: '1' }, /unknown log opt 'nosuch' for syslog log driver/],
    ['journald', { nosuch: '1' }, /unknown log opt 'nosuch' for journald log driver/],
    ['json-file', { 'max-size': 'x' }, /failed to initialize logging driver: invalid size: 'x'/],
    ['json-file', { 'max-size': '0' }, /failed to initialize logging driver: max-size must be a positive/],
    ['json-file', { 'max-file': '0' }, /failed to initialize logging driver: max-file cannot be less than 1/],
    ['json-file', { compress: 'true', 'max-file': '1' }, /compress cannot be true when max-file is less/],
    ['json-file', { tag: '{{.Foo}}' }, /can't evaluate field Foo in type \*logger.Info/],
    ['json-file', { 'env-regex': '[a' }, /error parsing regexp: missing closing \]: `\[a`/],
    ['local', { 'max-file': '1' }, /compression cannot be enabled when max file count is 1/],
    ['local', { 'max-size': 'x' }, /invalid value for max-size: x: invalid size: 'x'/],
    ['json-file', { mode: 'x' }, /logger: logging mode not supported: x/],
    [
      'local',
      { 'max-buffer-size': '1m' },
      /max-buffer-size option is only supported with 'mode=non-blocking'/,
    ],
    ['syslog', { 'syslog-facility': 'x' }, /invalid syslog facility/],
    ['syslog', { 'syslog-format': 'x' }, /invalid syslog format/i],
    ['syslog', { 'syslog-address': 'unix:///nosuch' }, /stat \/nosuch: no such file or directory/],
    [
      'syslog',
      { 'syslog-address': 'tcp://127.0.0.1:1' },
      /failed to initialize logging driver: dial tcp 127.0.0.1:1: connect: connection refused/,
    ],
    [
      'syslog',
      { 'syslog-address': 'udp://nosuch.invalid' },
      /failed to initialize logging driver: dial udp: lookup nosuch.invalid.*: no such host/,
    ],
  ];
  for (const [type, options, message] of refusals) {
    check(`${type} ${JSON.stringify(options)} is refused`, (api) => refuses(api, type, options, message));
  }
  check('info lists the drivers and names the default one', async (api) => {
    const has = (drivers: unknown): boolean =>
      ['journald', 'json-file', 'local', 'syslog'].every((name) => (drivers as string[]).includes(name));
    await api.get('/info').is(200, { LoggingDriver: 'json-file', Plugins: { Log: has } });
  });
  check('inspect shows the driver, its options and the path of a json-file alone', async (api) => {
    const file = await finished(api, 'true', withLog('json-file', { tag: '{{.Name}}' }));
    await api.get(`/containers/${file}/json`).is(200, {
      LogPath: new RegExp(`/containers/${file}/${file}-json.log$`),
      HostConfig: { LogConfig: { Type: 'json-file', Config: { tag: '{{.Name}}' } } },
    });
    const local = await finished(api, 'true', withLog('local'));
    await api
      .get(`/containers/${local}/json`)
      .is(200, { LogPath: '', HostConfig: { LogConfig: { Type: 'local' } } });
  });
  check('json-file: details are the labels, variables and the tag that the options choose', async (api) => {
    const id = await finished(api, 'echo hello', {
      Env: ['SHOWN=a b', 'ALSO=1', 'NOT=1'],
      Labels: { seen: 'yes', 'com.x': 'é&' },
      ...withLog('json-file', {
        env: 'SHOWN',
        'env-regex': '^AL',
        labels: 'seen',
        'labels-regex': '^com',
        tag: '{{.ImageName}}',
      }),
    });
    assert.equal(
      await logs(api, id, '&details=1'),
      'ALSO=1,SHOWN=a+b,com.x=%C3%A9%26,seen=yes,tag=busybox hello\n',
    );
    assert.match(await logs(api, id, '&details=1&timestamps=1'), /^\S+Z ALSO=1,\S+ hello\n$/);
  });
  check('details of a log without any are a space', async (api) => {
    assert.equal(await logs(api, await finished(api, 'echo hello'), '&details=1'), ' hello\n');
  });
  for (const type of ['json-file', 'local']) {
    check(`${type}: rotated and compressed files are one log`, async (api, daemon) => {
      const options = { 'max-size': '20k', 'max-file': '4', compress: 'true' };
      const id = await finished(api, 'seq 1 1000', withLog(type, options));
      const seen = numbers(await logs(api, id));
      assert.equal(seen.at(-1), 1000);
      assert.deepEqual(seen, range(seen[0] ?? 0, 1000));
      for (const tail of [1, 10, 300]) {
        assert.deepEqual(numbers(await logs(api, id, `&tail=${tail}`)), range(1001 - tail, 1000));
      }
      const files = readdirSync(daemon.directory, { recursive: true, encoding: 'utf8' }).filter(
        (file) => file.includes(id) && file.endsWith('.gz'),
      );
      assert.ok(files.length > 0 && files.length < 4, files.map((file) => path.basename(file)).join());
    });
    check(`${type}: follow misses nothing while files are rotated`, async (api) => {
      const options = { 'max-size': '10k', 'max-file': '20', compress: 'true' };
      const line = 'i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; sleep 1; echo 2000';
      const id = await api.run(line, withLog(type, options));
      assert.deepEqual(numbers(await logs(api, id, '&follow=1')), range(0, 2000));
    });
    check(`${type}: since and until inside rotated files`, async (api) => {
      const options = { 'max-size': '1k', 'max-file': '9', compress: 'false' };
      const line = 'seq 1 20; sleep 0.3; seq 21 40; sleep 0.3; seq 41 60';
      const id = await finished(api, line, withLog(type, options));
      const stamped = (await logs(api, id, '&timestamps=1')).trim().split('\n');
      assert.equal(stamped.length, 60);
      const timeOf = (text: string): number =>
        Date.parse(stamped.find((record) => record.endsWith(` ${text}`))?.split(' ')[0] ?? '') / 1000;
      const [first, second] = [(timeOf('20') + timeOf('21')) / 2, (timeOf('40') + timeOf('41')) / 2];
      assert.deepEqual(numbers(await logs(api, id, `&since=${first}&until=${second}`)), range(21, 40));
      assert.deepEqual(numbers(await logs(api, id, `&since=${second}`)), range(41, 60));
    });
    check(`${type}: mode=non-blocking keeps what there is room for`, async (api) => {
      const id = await finished(api, 'seq 1 500', withLog(type, { mode: 'non-blocking' }));
      assert.deepEqual(numbers(await logs(api, id)), range(1, 500));
    });
  }
  check('a driver that cannot be read has a cache, unless that is switched off', async (api) => {
    const address = { 'syslog-address': 'udp://127.0.0.1:1' };
    const cached = await finished(api, 'echo one; echo two', withLog('syslog', address));
    assert.equal(await logs(api, cached), 'one\ntwo\n');
    assert.equal(await logs(api, cached, '&tail=1'), 'two\n');
    const options = { ...address, 'cache-disabled': 'true' };
    const uncached = await finished(api, 'echo one', withLog('syslog', options));
    await api
      .get(`/containers/${uncached}/logs?stdout=1`)
      .is(501, { message: 'configured logging driver does not support reading' });
  });
});
