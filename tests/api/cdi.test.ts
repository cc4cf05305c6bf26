import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { type Daemon, startDaemon } from '../daemons.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';
import { Api } from './client.ts';

const CLOCK = `
cdiVersion: "0.6.0"
kind: vendor.com/clock
containerEdits:
  env: [VENDOR=yes]
devices:
  - name: zero
    containerEdits:
      env: [CLOCK=zero]
      deviceNodes:
        - {path: /dev/clock0, hostPath: /dev/zero, permissions: r}
      mounts:
        - {hostPath: /etc/hostname, containerPath: /clock/name, options: [ro, rbind]}
`;

// dockerd 20.10 knows no CDI, so this runs against Hull alone.
describe('devices that vendors describe (CDI)', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-cdi-'));
  let daemon: Daemon;
  let api: Api;
  before(async () => {
    writeFileSync(path.join(directory, 'clock.yaml'), CLOCK);
    writeFileSync(path.join(directory, 'broken.json'), '{');
    daemon = await startDaemon('hull', { flags: ['--cdi-spec-dir', directory] });
    api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });
  const asking = (...names: string[]): object => ({ DeviceRequests: [{ Driver: 'cdi', DeviceIDs: names }] });

  test('a container gets what the file says', async () => {
    const { code, stdout, stderr } = await api.output(
      'echo $VENDOR $CLOCK; head -c 2 /dev/clock0 | wc -c; test -s /clock/name && echo named; echo >/clock/name',
      { HostConfig: asking('vendor.com/clock=zero') },
    );
    assert.equal(stdout, 'yes zero\n2\nnamed\n', stderr);
    assert.notEqual(code, 0);
    assert.match(stderr, /Read-only file system/);
  });
  test('a device that no file describes fails the start', async () => {
    const id = await api.create({ Cmd: ['true'], HostConfig: asking('vendor.com/clock=zero', 'v.com/c=x') });
    await api
      .post(`/containers/${id}/start`)
      .is(500, { message: 'CDI device injection failed: unresolvable CDI devices v.com/c=x' });
  });
  test('info lists directories and devices', async () => {
    await api.get('/info').is(200, {
      CDISpecDirs: [directory],
      DiscoveredDevices: [{ Source: 'cdi', ID: 'vendor.com/clock=zero' }],
    });
  });
});
