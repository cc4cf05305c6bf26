import assert from 'node:assert/strict';
import { rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';

import { type Api, type Json, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Host = Record<string, unknown>;

async function refusedStart(api: Api, host: Host, message: string | RegExp): Promise<Json> {
  const id = await api.create({ Cmd: ['true'], HostConfig: host });
  return api.post(`/containers/${id}/start`).is([400, 500], { message });
}

onEveryEngine('devices', ({ check }) => {
  check('a device under another name, with less access than it has', async (api) => {
    const devices = [
      { PathOnHost: '/dev/zero', PathInContainer: '/dev/nought', CgroupPermissions: 'r' },
      { PathOnHost: '/dev/full', PathInContainer: '/dev/brim', CgroupPermissions: 'rwm' },
    ];
    const { stdout, stderr } = await api.output(
      'head -c 3 /dev/nought | wc -c; ls -l /dev/nought | cut -c1; echo x >/dev/brim',
      { HostConfig: { Devices: devices } },
    );
    assert.equal(stdout, '3\nc\n');
    assert.match(stderr, /No space left on device/);
  });
  check('a directory of devices, and a link to a device', async (api, daemon) => {
    const link = path.join(daemon.directory, 'link');
    symlinkSync('/dev/full', link);
    const { stdout } = await api.output('ls /dev/n; ls -l /dev/l', {
      HostConfig: {
        Devices: [
          { PathOnHost: '/dev/net', PathInContainer: '/dev/n', CgroupPermissions: 'rwm' },
          { PathOnHost: link, PathInContainer: '/dev/l', CgroupPermissions: 'rwm' },
        ],
      },
    });
    rmSync(link);
    assert.match(stdout, /^c.* 1, +7 /m);
    assert.match(stdout, /tun/);
  });
  check('a rule lets the container use a device that it makes itself', async (api) => {
    const make = 'mknod /tmp/k c 10 229 && dd if=/tmp/k of=/dev/null count=0 2>&1 && echo opened';
    const { stdout } = await api.output(make, { HostConfig: { DeviceCgroupRules: ['c 10:229 rwm'] } });
    assert.match(stdout, /opened/);
    const without = await api.output(make);
    assert.match(without.stdout, /Operation not permitted/);
  });
  check('what is no device fails the start', async (api) => {
    for (const [path, why] of [
      ['/dev/no-such', 'no such file or directory'],
      ['/etc/passwd', 'not a device node'],
    ]) {
      await refusedStart(
        api,
        { Devices: [{ PathOnHost: path, PathInContainer: '/dev/x', CgroupPermissions: 'rwm' }] },
        `error gathering device information while adding custom device "${path}": ${why}`,
      );
    }
    await refusedStart(api, { DeviceCgroupRules: ['foo'] }, "invalid device cgroup rule format: 'foo'");
    await refusedStart(
      api,
      { BlkioDeviceReadBps: [{ Path: '/dev/no-such', Rate: 1024 }] },
      'stat /dev/no-such: no such file or directory',
    );
  });
  check('devices without a driver fail the start', async (api) => {
    await refusedStart(
      api,
      { DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }] },
      'could not select device driver "" with capabilities: [[gpu]]',
    );
    await refusedStart(
      api,
      { DeviceRequests: [{ Driver: 'toaster', Capabilities: [['a', 'b'], ['c']] }] },
      'could not select device driver "toaster" with capabilities: [[a b] [c]]',
    );
  });
  check('what was asked for is shown again', async (api) => {
    const host = {
      DeviceCgroupRules: ['c 10:229 rwm'],
      DeviceRequests: [{ Driver: '', Count: 2, DeviceIDs: null, Capabilities: [['gpu']], Options: {} }],
    };
    const id = await api.create({ HostConfig: host });
    const found = await api
      .get(`/containers/${id}/json`)
      .is(200, { HostConfig: { DeviceCgroupRules: ['c 10:229 rwm'] } });
    assert.equal(field(found, 'HostConfig', 'DeviceRequests', 0, 'Count'), '2');
  });
});
