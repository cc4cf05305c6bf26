import assert from 'node:assert/strict';
import { globSync, rmdirSync } from 'node:fs';
import { describe, test } from 'node:test';

import { startDaemon } from '../daemons.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';
import { Api, field, type Json } from './client.ts';
import { onEveryEngine } from './engines.ts';

type Host = Record<string, unknown>;

const refuse = (api: Api, body: Host, message: string | RegExp): Promise<Json> =>
  api.post('/containers/create', { Image: 'busybox', ...body }).is([400, 500], { message });

async function refuseStart(api: Api, body: Host, message: string | RegExp): Promise<void> {
  const id = await api.create({ Cmd: ['true'], ...body });
  await api.post(`/containers/${id}/start`).is([400, 500], { message });
}

onEveryEngine('options', ({ check }) => {
  check('a hardware address beside the command', async (api) => {
    const { stdout } = await api.output('cat /sys/class/net/eth0/address', {
      MacAddress: '02:42:0a:00:00:77',
    });
    assert.equal(stdout, '02:42:0a:00:00:77\n');
    await refuse(
      api,
      { MacAddress: '02:42:0a:00:00:77', HostConfig: { NetworkMode: 'host' } },
      'conflicting options: mac-address and the network mode',
    );
  });
  check('addresses and aliases of the default bridge are refused', async (api) => {
    const endpoint = (settings: Host): Host => ({
      NetworkingConfig: { EndpointsConfig: { bridge: settings } },
    });
    await refuseStart(
      api,
      endpoint({ IPAMConfig: { IPv4Address: '10.1.2.3' } }),
      'user specified IP address is supported on user defined networks only',
    );
    await refuseStart(
      api,
      endpoint({ Aliases: ['other'] }),
      'network-scoped alias is supported only for containers in user defined networks',
    );
  });
  check('a container without a network has itself alone', async (api) => {
    const { stdout } = await api.output('ls /sys/class/net', { NetworkDisabled: true });
    assert.equal(stdout, 'lo\n');
  });
  check('host-gateway is the host, as the container sees it', async (api, daemon) => {
    const { stdout } = await api.output('grep host /etc/hosts', {
      HostConfig: { ExtraHosts: ['up.host:host-gateway'] },
    });
    assert.match(stdout, new RegExp(`^${daemon.gateway}\tup\\.host$`, 'm'));
  });
  check('a parent of its cgroup, however it is written', async (api) => {
    for (const parent of ['hull-test-parent/below', '/hull-test-parent', '../hull-test-parent']) {
      const { stdout } = await api.output('cat /proc/self/cgroup', {
        HostConfig: { CgroupParent: parent, CgroupnsMode: 'host' },
      });
      const group = parent.replace(/^(\.\.)?\//, '');
      assert.match(stdout, new RegExp(`:/${group}/[0-9a-f]{64}$`, 'm'), parent);
    }
    // Neither engine takes away what others may have in them.
    for (const depth of ['hull-test-parent/below', 'hull-test-parent'])
      for (const group of globSync([`/sys/fs/cgroup/*/${depth}`, `/sys/fs/cgroup/${depth}`]))
        rmdirSync(group);
  });
  check('Linux knows one isolation', async (api) => {
    await refuse(
      api,
      { HostConfig: { Isolation: 'hyperv' } },
      /nvalid isolation.*hyperv.*linux only supports 'default'/,
    );
    await api.create({ HostConfig: { Isolation: 'default' } });
  });
  check('the first free port of a range is taken', async (api) => {
    const range = { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '28431-28433' }] };
    const ports: number[] = [];
    for (let count = 0; count < 3; count++) {
      const id = await api.run('sleep 60', {
        ExposedPorts: { '80/tcp': {} },
        HostConfig: { PortBindings: range },
      });
      const filters = encodeURIComponent(JSON.stringify({ id: [id] }));
      const list = await api.get(`/containers/json?filters=${filters}`).is(200);
      ports.push(Number(field(list, 0, 'Ports', 0, 'PublicPort')));
    }
    assert.deepEqual(new Set(ports), new Set([28_431, 28_432, 28_433]));
    await refuseStart(
      api,
      { ExposedPorts: { '80/tcp': {} }, HostConfig: { PortBindings: range } },
      /port is already allocated|address already in use|all ports are allocated/,
    );
  });
});

describe('what the daemon is told', () => {
  test('--host-gateway-ip is what host-gateway stands for, one of each family', async () => {
    await using daemon = await startDaemon('hull', {
      flags: ['--host-gateway-ip', '192.0.2.7', '--host-gateway-ip', '2001:db8::7'],
    });
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const { stdout } = await api.output('grep up /etc/hosts', {
      HostConfig: { ExtraHosts: ['up:host-gateway'] },
    });
    assert.equal(stdout, '192.0.2.7\tup\n2001:db8::7\tup\n');
    await assert.rejects(
      startDaemon('hull', { flags: ['--host-gateway-ip', '192.0.2.7', '--host-gateway-ip', '192.0.2.8'] }),
      /only one IPv4 host gateway IP address can be specified/,
    );
  });
  test('an endpoint can have its interface named, and says what does nothing', async () => {
    await using daemon = await startDaemon('hull');
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const options = { 'com.docker.network.endpoint.ifname': 'lan0', other: '1' };
    const body = {
      Image: 'busybox',
      Cmd: ['cat', '/sys/class/net/lan0/operstate'],
      NetworkingConfig: { EndpointsConfig: { bridge: { DriverOpts: options } } },
    };
    const created = await api
      .post('/containers/create', body)
      .is(201, { Warnings: ['The endpoint option "other" has no effect.'] });
    const id = field(created, 'Id');
    await api.post(`/containers/${id}/start`).is(204);
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 0 });
  });
});
