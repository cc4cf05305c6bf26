import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';

import { Api } from '../api/client.ts';
import { CHECKOUT, Daemon, type DaemonOptions, request, until } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';
import { type Certificates, makeCertificates, pem } from './certificates.ts';

const before = hostSnapshot();
const directory = mkdtempSync(path.join(tmpdir(), 'hull-listeners-'));
const directories = [directory];
after(async () => {
  rmSync(directory, { recursive: true });
  await assertNoLeaks(before, directories);
});

function hulld(options?: DaemonOptions): Daemon {
  const daemon = new Daemon('hull', options);
  directories.push(daemon.directory);
  return daemon;
}

const certificates: Certificates = makeCertificates(directory);
const { authority, server, client, stranger } = certificates;
const TLS = [`--tlscacert=${authority}`, `--tlscert=${server.certificate}`, `--tlskey=${server.key}`];

async function freePort(): Promise<number> {
  const probe = net.createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as net.AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The status of a request over TLS, or the word for why there is none. */
function ask(port: number, options: https.RequestOptions): Promise<number | string> {
  return new Promise((resolve) => {
    const message = https.get(
      { host: '127.0.0.1', port, path: '/version', ca: readFileSync(authority), agent: false, ...options },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    message.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

function docker(port: number, args: readonly string[], pair = client): Promise<{ stdout: string }> {
  const tls = [
    '--tlsverify',
    `--tlscacert=${authority}`,
    `--tlscert=${pair.certificate}`,
    `--tlskey=${pair.key}`,
  ];
  return promisify(execFile)('docker', ['-H', `tcp://127.0.0.1:${port}`, ...tls, ...args], {
    timeout: 30_000,
  });
}

test('--tlsverify serves those that the authority knows, the docker CLI among them, beside a socket', async () => {
  const port = await freePort();
  await using daemon = hulld({
    flags: ['-H', `tcp://127.0.0.1:${port}`, '--tlsverify', ...TLS],
  });
  await daemon.start();
  // Its socket answers first.
  await until('the port answers', async () => (await ask(port, pem(client))) === 200);
  assert.equal(typeof (await ask(port, {})), 'string');
  assert.equal(typeof (await ask(port, pem(stranger))), 'string');
  assert.equal(
    typeof (await ask(port, { ...pem(client), ca: readFileSync(path.join(directory, 'elsewhere.pem')) })),
    'string',
  );
  const api = new Api(daemon.socket);
  await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
  const { stdout } = await docker(port, ['run', '--rm', 'busybox', 'echo', 'over TLS']);
  assert.equal(stdout, 'over TLS\n');
  await assert.rejects(
    docker(port, ['version'], stranger),
    /bad certificate|unknown certificate|certificate required/,
  );
  await api.get('/info').is(200, { Warnings: (list) => !JSON.stringify(list).includes('API is accessible') });
});

test('the hull CLI speaks TLS: by flags, by the environment, and with streams that end at one side', async () => {
  const port = await freePort();
  await using daemon = hulld({
    flags: ['-H', `tcp://127.0.0.1:${port}`, '--tlsverify', ...TLS],
  });
  await daemon.start();
  await until('the port answers', async () => (await ask(port, pem(client))) === 200);
  await new Api(daemon.socket).post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);

  const certPath = path.join(directory, 'cert-path');
  mkdirSync(certPath);
  copyFileSync(authority, path.join(certPath, 'ca.pem'));
  copyFileSync(client.certificate, path.join(certPath, 'cert.pem'));
  copyFileSync(client.key, path.join(certPath, 'key.pem'));
  const hull = (args: readonly string[], environment: Record<string, string>, input = ''): string => {
    const { HULL_HOST: _hull, DOCKER_HOST: _docker, ...rest } = process.env;
    const { stdout, stderr } = spawnSync(path.join(CHECKOUT, 'bin/hull'), args, {
      env: { ...rest, DOCKER_CONFIG: path.join(directory, 'no-configuration'), ...environment },
      input,
      timeout: 30_000,
      encoding: 'utf8',
    });
    return stdout + stderr;
  };
  const host = `tcp://127.0.0.1:${port}`;
  const byFlags = ['-H', host, '--tlsverify', `--tlscacert=${authority}`];
  const pair = ({ certificate, key }: Certificates['client']): string[] => [
    `--tlscert=${certificate}`,
    `--tlskey=${key}`,
  ];
  const environment = { DOCKER_HOST: host, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certPath };

  assert.equal(hull([...byFlags, ...pair(client), 'version', '--format', '{{.Server.Os}}'], {}), 'linux\n');
  assert.equal(hull(['version', '--format', '{{.Server.Os}}'], environment), 'linux\n');
  // The end of the input must not be the end of the answer.
  const sorted = hull(['run', '-i', '--name', 'sorts', 'busybox', 'sort'], environment, 'b\na\n');
  assert.equal(sorted, 'a\nb\n');
  assert.equal(hull(['logs', 'sorts'], environment), 'a\nb\n');
  hull(['run', '-d', '--name', 'runs', 'busybox', 'sleep', '1000'], environment);
  const large = 'x'.repeat(1_000_000);
  assert.equal(hull(['exec', '-i', 'runs', 'wc', '-c'], environment, large), '1000000\n');
  assert.equal(
    hull(['exec', 'runs', 'sh', '-c', `yes x | head -c 3000000 | wc -c`], environment),
    '3000000\n',
  );
  const archive = path.join(directory, 'large');
  writeFileSync(archive, large);
  hull(['cp', archive, 'runs:/large'], environment);
  hull(['cp', 'runs:/large', `${archive}.back`], environment);
  assert.equal(readFileSync(`${archive}.back`, 'utf8'), large);

  assert.match(
    hull([...byFlags, ...pair(stranger), 'version'], {}),
    /does it know the authority of your certificate\?/,
  );
  assert.match(hull([...byFlags, '--tlscert=/nosuch', '--tlskey=/nosuch', 'version'], {}), /nosuch/);
  const elsewhere = `--tlscacert=${path.join(directory, 'elsewhere.pem')}`;
  assert.match(
    hull(['-H', host, '--tlsverify', elsewhere, ...pair(client), 'version'], {}),
    /self-signed certificate|unable to verify|unknown authority/,
  );
  assert.match(hull(['-H', host, 'version'], {}), /the server closed the connection before it answered\n/);
  assert.match(hull(['version'], { ...environment, DOCKER_CERT_PATH: '/nosuch' }), /nosuch\/ca\.pem/);
});

test('a peer that gives up in its handshake is forgotten, and one that never begins it does not delay the end', async () => {
  const port = await freePort();
  await using daemon = hulld({
    flags: ['-H', `tcp://127.0.0.1:${port}`, '--tlsverify', ...TLS],
  });
  await daemon.start();
  await until('the port answers', async () => (await ask(port, pem(client))) === 200);
  const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  const atRest = descriptors();
  const distrusts = { ...pem(client), ca: readFileSync(path.join(directory, 'elsewhere.pem')) };
  for (let times = 0; times < 5; times++) assert.equal(typeof (await ask(port, distrusts)), 'string');
  await until('every descriptor is given back', () => descriptors() <= atRest);

  const silent = net.connect(port, '127.0.0.1');
  await new Promise((resolve) => silent.once('connect', resolve));
  const ended = new Promise((resolve) => silent.once('close', resolve).once('error', () => {}));
  // Fails when the shutdown is not complete.
  await daemon.stop();
  await ended;
});

test('a daemon that is told to end while it starts ends when it has started', async () => {
  await using daemon = hulld();
  const started = daemon.start();
  await until('it holds its pidfile', () => existsSync(path.join(daemon.directory, 'pid')));
  started.catch(() => {});
  await daemon.stop();
});

test('--tlsverify=false encrypts for everyone, and says so', async () => {
  const port = await freePort();
  await using daemon = hulld({
    flags: ['-H', `tcp://127.0.0.1:${port}`, '--tlsverify=false', ...TLS],
  });
  await daemon.start();
  await until('the port answers', async () => (await ask(port, {})) === 200);
  const { body } = await request(daemon.socket, 'GET', '/info');
  assert.match(
    body.toString(),
    new RegExp(
      `WARNING: API is accessible on https://127\\.0\\.0\\.1:${port} without TLS client verification`,
    ),
  );
  assert.match(daemon.log, /Binding to IP address without --tlsverify is insecure/);
});

test('the configuration file says it all as well, and a websocket goes over plain TCP', async () => {
  const port = await freePort();
  const file = path.join(directory, 'daemon.json');
  writeFileSync(file, JSON.stringify({ labels: ['from=file'], tls: false }));
  await using daemon = hulld({
    flags: ['-H', `tcp://127.0.0.1:${port}`, '--config-file', file],
  });
  await daemon.start();
  const api = new Api(daemon.socket);
  await api.get('/info').is(200, {
    Labels: ['from=file'],
    Warnings: (list) => JSON.stringify(list).includes(`http://127.0.0.1:${port}`),
  });
  await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
  const id = await api.run('cat', { OpenStdin: true });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/containers/${id}/attach/ws?stream=1&stdin=1&stdout=1`);
  socket.binaryType = 'arraybuffer';
  const answer = new Promise<Buffer>((resolve, reject) => {
    socket.addEventListener('error', () => reject(new Error('the websocket failed')));
    socket.addEventListener('open', () => socket.send('hello\n'));
    socket.addEventListener('message', ({ data }) => resolve(Buffer.from(data as ArrayBuffer)));
  });
  assert.equal((await answer).toString(), 'hello\n');
  const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
  socket.close();
  await closed;
});

test('what cannot be served safely, or at all, ends the start with the reason', () => {
  const refuse = (...flags: string[]): string => {
    const roots = [
      '--data-root',
      path.join(directory, 'd'),
      '--exec-root',
      path.join(directory, 'e'),
      '--pidfile',
      path.join(directory, 'p'),
    ];
    const { status, stderr } = spawnSync(
      path.join(CHECKOUT, 'bin/hulld'),
      [...roots, '--bip', '10.115.9.1/24', ...flags],
      { timeout: 20_000, encoding: 'utf8' },
    );
    assert.equal(status, 1, stderr);
    return stderr;
  };
  assert.match(refuse('-H', 'tcp://0.0.0.0:1'), /explicitly specifying '--tls=false' or '--tlsverify=false'/);
  assert.match(
    refuse('-H', 'tcp://127.0.0.1:1', '--tlsverify', '--tlscert=/nosuch'),
    /invalid TLS configuration: .*\/nosuch/,
  );
  assert.match(refuse('-H', 'fd://'), /no sockets found via socket activation/);
});

/** A listening socket, as the descriptor of which systemd would pass it on. */
async function listening(where: net.ListenOptions): Promise<{ fd: number; port: number; close: () => void }> {
  const bound = net.createServer();
  await new Promise<void>((resolve) => bound.listen(where, resolve));
  const { fd } = (bound as unknown as { _handle: { fd: number } })._handle;
  const address = bound.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    fd,
    port,
    close: () => {
      const { path: file } = where;
      // Node deletes what it has listened on.
      if (file !== undefined) renameSync(file, `${file}.kept`);
      bound.close();
      if (file !== undefined) renameSync(`${file}.kept`, file);
    },
  };
}

test('sockets that systemd passes are served: files in the clear, ports over TLS', async () => {
  const socketPath = path.join(directory, 'activated.sock');
  const file = await listening({ path: socketPath });
  const port = await listening({ port: 0, host: '127.0.0.1' });
  const log = openSync(path.join(directory, 'activated.log'), 'a');
  const roots = `--data-root ${directory}/ad --exec-root ${directory}/ae --pidfile ${directory}/ap --bip 10.115.8.1/24`;
  const daemon = spawn(
    'sh',
    [
      '-c',
      `LISTEN_PID=$$ LISTEN_FDS=2 exec ${CHECKOUT}/bin/hulld -H fd:// ${roots} --tlsverify ${TLS.join(' ')}`,
    ],
    { stdio: ['ignore', log, log, file.fd, port.fd] },
  );
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  try {
    file.close();
    port.close();
    await until('the daemon answers', async () => {
      const reply = await request(socketPath, 'GET', '/_ping', { timeoutMs: 500 }).catch(() => undefined);
      return reply?.status === 200;
    });
    assert.equal(await ask(port.port, pem(client)), 200);
    assert.equal(typeof (await ask(port.port, {})), 'string');
  } finally {
    daemon.kill('SIGTERM');
    await ended;
  }
  assert.ok(statSync(socketPath).isSocket(), 'systemd keeps its socket');
});

test('SIGHUP reads the file again and tells of it; a file that is wrong changes nothing', async () => {
  const file = path.join(directory, 'reloaded.json');
  writeFileSync(file, JSON.stringify({ labels: ['a=1'] }));
  await using daemon = hulld({ flags: ['--config-file', file] });
  await daemon.start();
  const api = new Api(daemon.socket);
  await api.get('/info').is(200, { Labels: ['a=1'], Debug: false });
  const events = await api.raw('GET', '/events?filters=%7B%22type%22%3A%5B%22daemon%22%5D%7D');
  writeFileSync(
    file,
    JSON.stringify({ labels: ['a=2'], debug: true, 'registry-mirrors': ['https://mirror.example'] }),
  );
  process.kill(daemon.pid, 'SIGHUP');
  await events.has(/"Action":"reload".*"debug":"true".*"labels":"\[\\"a=2\\"\]"/);
  events.close();
  await api
    .get('/info')
    .is(200, { Labels: ['a=2'], Debug: true, RegistryConfig: { Mirrors: ['https://mirror.example/'] } });
  for (const [wrong, reason] of [
    ['{"nonsense": 1}', "don't match any configuration option: nonsense"],
    ['{"labels": ["a=3"], "default-runtime": "nosuch"}', "specified default runtime 'nosuch' does not exist"],
  ] as const) {
    writeFileSync(file, wrong);
    process.kill(daemon.pid, 'SIGHUP');
    await until('the reason is logged', () => daemon.log.includes(reason));
    await api.get('/info').is(200, { Labels: ['a=2'] });
  }
  writeFileSync(file, '{"default-runtime": "runc"}');
  process.kill(daemon.pid, 'SIGHUP');
  await until('the default runtime is another', async () => {
    const { DefaultRuntime: runtime } = (await api.get('/info').is(200)) as { DefaultRuntime: string };
    return runtime === 'runc';
  });
});

test('the socket is for root and the group that was named', async () => {
  await using daemon = hulld({ flags: ['--group', '4242'] });
  await daemon.start();
  const { mode, uid, gid } = statSync(daemon.socket);
  assert.deepEqual([mode & 0o777, uid, gid], [0o660, 0, 4242]);
});
