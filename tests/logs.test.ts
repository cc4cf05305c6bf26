import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { datagramReceiver, type Receiver, streamReceiver } from '../src/runtime/oci/log-receivers.ts';
import { Api, demultiplex } from './api/client.ts';
import { type Daemon, sleep, startDaemon } from './daemons.ts';
import { assertNoLeaks, hostSnapshot, type HostSnapshot } from './leaks.ts';
import { busyboxImage, dockerArchive } from './test-images.ts';

/** What only Hull does with logs, or where the test is the server: rotation by default, a killed daemon, the journal, TLS. */
describe('logs', () => {
  let snapshot: HostSnapshot;
  let daemon: Daemon;
  let api: Api;
  let directory: string;
  let journal: string;
  before(async () => {
    snapshot = hostSnapshot();
    directory = mkdtempSync(path.join(tmpdir(), 'hull-logs-'));
    journal = path.join(directory, 'journal');
    daemon = await startDaemon('hull', { environment: { HULL_JOURNAL_SOCKET: journal } });
    api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await assertNoLeaks(snapshot, [daemon.directory]);
    rmSync(directory, { recursive: true, force: true });
  });

  const withLog = (Type: string, Config: Record<string, string> = {}): Record<string, unknown> => ({
    HostConfig: { LogConfig: { Type, Config } },
  });
  const wait = (id: string): Promise<unknown> => api.post(`/containers/${id}/wait`).is(200);
  const logs = async (id: string): Promise<string> =>
    demultiplex((await api.get(`/containers/${id}/logs?stdout=1`).reply()).body).stdout;
  const numbered = (to: number): string[] => Array.from({ length: to }, (_, index) => String(index + 1));
  const bodies = ({ received }: Receiver): string[] =>
    received.map((message) => message.replace(/^.*?\]: /, ''));
  async function until(what: () => boolean): Promise<void> {
    for (let tries = 0; !what() && tries < 1000; tries++) await sleep(10);
  }

  test('kill -9 of the daemon while a container writes to syslog: nothing is lost', async () => {
    await using receiver = await streamReceiver(0);
    const address = `tcp://127.0.0.1:${receiver.address}`;
    const line =
      'i=1; while [ $i -le 3000 ]; do echo $i; i=$((i+1)); [ $((i % 100)) = 0 ] && sleep 0.2; done';
    const id = await api.run(line, withLog('syslog', { 'syslog-address': address, tag: '{{.Name}}' }));
    await until(() => receiver.received.length > 300);
    await daemon.kill();
    const killedAt = receiver.received.length;
    await until(() => receiver.received.length > killedAt);
    assert.ok(receiver.received.length > killedAt && receiver.received.length < 3000);
    await daemon.start();
    await wait(id);
    await until(() => receiver.received.length >= 3000);
    assert.deepEqual(bodies(receiver), numbered(3000));
    assert.deepEqual((await logs(id)).trim().split('\n'), numbered(3000));
  });

  test('the journal is told what Docker tells it', async () => {
    const created = await api.create({ Cmd: ['echo', 'x'], ...withLog('journald') });
    await api.post(`/containers/${created}/start`).is(500, {
      message:
        'failed to create task for container: failed to initialize logging driver: journald is not enabled on this host',
    });
    await using receiver = datagramReceiver(journal);
    const options = { labels: 'com.example.tier', env: '_lower', tag: '{{.ImageName}}/{{.Name}}' };
    const body = {
      Cmd: ['sh', '-c', 'echo out; sleep 0.1; echo err >&2'],
      Labels: { 'com.example.tier': 'front' },
      Env: ['_lower=1'],
      ...withLog('journald', options),
    };
    const id = await api.create(body, 'journaled');
    await api.post(`/containers/${id}/start`).is(204);
    await wait(id);
    await until(() => receiver.received.length >= 2);
    const fields = receiver.received.map((record) => record.trim().split('\n'));
    for (const field of [
      `CONTAINER_ID=${id.slice(0, 12)}`,
      `CONTAINER_ID_FULL=${id}`,
      'CONTAINER_NAME=journaled',
      'CONTAINER_TAG=busybox/journaled',
      'SYSLOG_IDENTIFIER=busybox/journaled',
      'IMAGE_NAME=busybox',
      'COM_EXAMPLE_TIER=front',
      'LOWER=1',
      'MESSAGE=out',
      'PRIORITY=6',
    ]) {
      assert.ok(fields[0]?.includes(field), `${field} in ${fields[0]?.join()}`);
    }
    assert.ok(fields[1]?.includes('MESSAGE=err') && fields[1].includes('PRIORITY=3'));
    assert.equal(await logs(id), 'out\n');
  });

  test('syslog over TLS', async () => {
    const [key, certificate] = [path.join(directory, 'key'), path.join(directory, 'certificate')];
    const made = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', ['req', '-x509', ...made, ...names], { stdio: 'ignore', timeout: 30_000 });
    const server = { key: readFileSync(key), cert: readFileSync(certificate) };
    await using receiver = await streamReceiver(0, server);
    const address = { 'syslog-address': `tcp+tls://localhost:${receiver.address}` };
    const trusting = { ...address, 'syslog-tls-ca-cert': certificate };
    await wait(await api.run('seq 1 100', withLog('syslog', trusting)));
    await until(() => receiver.received.length >= 100);
    assert.deepEqual(bodies(receiver), numbered(100));
    const refused = /tls: failed to verify certificate: x509: certificate signed by unknown authority/;
    const distrusting = await api.create({ Cmd: ['true'], ...withLog('syslog', address) });
    await api.post(`/containers/${distrusting}/start`).is(500, { message: refused });
    await wait(await api.run('true', withLog('syslog', { ...address, 'syslog-tls-skip-verify': '1' })));
    const missing = { ...address, 'syslog-tls-ca-cert': '/nosuch' };
    const lost = await api.create({ Cmd: ['true'], ...withLog('syslog', missing) });
    await api
      .post(`/containers/${lost}/start`)
      .is(500, { message: /could not read CA certificate "\/nosuch": open \/nosuch: no such file/ });
  });

  test('json-file is rotated where nothing else was said', async () => {
    const line = 'head -c 45000000 /dev/zero | tr "\\\\0" x; echo; echo last';
    const sizes = async (options: Record<string, string>): Promise<Record<string, number>> => {
      const id = await api.run(line, withLog('json-file', options));
      await wait(id);
      const home = path.join(daemon.directory, 'data/containers', id);
      const files = readdirSync(home).filter((file) => file.startsWith(id));
      const found = files.map((file) => [file.slice(id.length), readFileSync(path.join(home, file)).length]);
      await api.delete(`/containers/${id}`).is(204);
      return Object.fromEntries(found) as Record<string, number>;
    };
    const rotated = await sizes({});
    assert.deepEqual(Object.keys(rotated).toSorted(), ['-json.log', '-json.log.1', '-json.log.2']);
    for (const file of ['-json.log.1', '-json.log.2']) {
      assert.ok(Math.abs((rotated[file] ?? 0) - (20 << 20)) < 40_000, `${rotated[file]}`);
    }
    assert.deepEqual(Object.keys(await sizes({ 'max-size': '-1' })), ['-json.log']);
  });

  test('removing a container removes its logs, whichever driver kept them', async () => {
    for (const type of ['json-file', 'local']) {
      const id = await api.run('echo x', withLog(type));
      await wait(id);
      assert.equal(await logs(id), 'x\n');
      await api.delete(`/containers/${id}`).is(204);
      assert.ok(!existsSync(path.join(daemon.directory, 'data/containers', id)));
    }
  });
});
