import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import http from 'node:http';

import { sleep, until } from '../daemons.ts';
import { field, type Api } from './client.ts';
import { onEveryEngine } from './engines.ts';

const WEB = 'mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www';

async function fetchPage(port: string | number, host = '127.0.0.1'): Promise<string> {
  let page = '';
  await until(`a page from port ${port}`, async () => {
    page = await new Promise<string>((resolve) => {
      http
        .get({ host, port, timeout: 1000 }, (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve(text));
        })
        .on('error', () => resolve(''));
    });
    return page !== '';
  });
  return page;
}

async function hostPort(api: Api, id: string, port: string): Promise<string> {
  return field(
    await api.get(`/containers/${id}/json`).is(200),
    'NetworkSettings',
    'Ports',
    port,
    0,
    'HostPort',
  );
}

onEveryEngine('networks', ({ check }) => {
  check('the three built-in ones', async (api) => {
    await api.get('/networks').is(200, (list) => {
      const names = (list as { Name: string; Driver: string }[]).map(
        (network) => `${network.Name}:${network.Driver}`,
      );
      return ['bridge:bridge', 'host:host', 'none:null'].every((name) => names.includes(name));
    });
  });
  check('inspect asks for a scope', async (api) => {
    await api.get('/networks/bridge?scope=local&verbose=true').is(200, { Name: 'bridge' });
    await api.get('/networks/bridge?scope=swarm').is(404, { message: /network bridge not found/ });
    await api.get('/networks/bridge?verbose=maybe').is(400, { message: /invalid value for verbose: maybe/ });
  });
  check('inspect of bridge', async (api) => {
    const id = await api.run('sleep 600', {}, 'netted');
    const bridge = await api.get('/networks/bridge').is(200, {
      Name: 'bridge',
      Id: /^[0-9a-f]{64}$/,
      Scope: 'local',
      Driver: 'bridge',
      EnableIPv6: false,
      Internal: false,
      Attachable: false,
      Ingress: false,
      IPAM: { Driver: 'default', Config: [{ Subnet: /^10\.\d+\.\d+\.0\/24$/, Gateway: /^10\./ }] },
      Containers: {
        [id]: { Name: 'netted', IPv4Address: /^10\..*\/24$/, MacAddress: /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/ },
      },
      Labels: {},
    });
    await api.get(`/networks/${field(bridge, 'Id').slice(0, 12)}`).is(200, { Name: 'bridge' });
    await api.get('/networks/none').is(200, { Driver: 'null' });
    await api.get('/networks/host').is(200, { Driver: 'host' });
    await api.get('/networks/nope').is(404, { message: /network nope not found/i });
  });
  check('list filters', async (api) => {
    const query = (filters: Record<string, string[]>): string =>
      `/networks?filters=${encodeURIComponent(JSON.stringify(filters))}`;
    await api.get(query({ name: ['bridge'] })).is(200, [{ Name: 'bridge' }]);
    await api.get(query({ driver: ['host'] })).is(200, [{ Name: 'host' }]);
    await api.get(query({ type: ['builtin'] })).is(200, (list) => Array.isArray(list) && list.length === 3);
    await api.get(query({ type: ['custom'] })).is(200, []);
    await api.get(query({ nosuch: ['x'] })).is([400, 500], { message: /invalid filter 'nosuch'/i });
  });
  check('the built-in ones are not removed', async (api) => {
    await api
      .delete('/networks/bridge')
      .is(403, { message: /bridge is a pre-defined network and cannot be removed/ });
    await api.delete('/networks/nope').is(404);
  });
  check('addresses: its own, a route, and other containers', async (api) => {
    const first = await api.run(WEB);
    const settings = await api.get(`/containers/${first}/json`).is(200, {
      NetworkSettings: {
        IPAddress: /^10\./,
        Gateway: /^10\./,
        IPPrefixLen: 24,
        MacAddress: /^02:42:0a:|^([0-9a-f]{2}:){5}/,
        SandboxID: /./,
        SandboxKey: /./,
        Networks: {
          bridge: { IPAddress: /^10\./, EndpointID: /^[0-9a-f]{64}$/, NetworkID: /^[0-9a-f]{64}$/ },
        },
      },
    });
    const address = field(settings, 'NetworkSettings', 'IPAddress');
    const { stdout } = await api.output(
      `until wget -qO /page http://${address}/; do sleep 0.1; done; cat /page; ip route | head -1; ls /sys/class/net | tr "\\n" " "`,
    );
    assert.match(stdout, /^served\ndefault via 10\.\d+\.\d+\.1 dev eth0/);
    assert.match(stdout, /\neth0 lo/);
  });
  check('a published port: any, a given one, and one address', async (api) => {
    const body = { ExposedPorts: { '80/tcp': {} } };
    const any = await api.run(WEB, {
      ...body,
      HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '' }] } },
    });
    const port = await hostPort(api, any, '80/tcp');
    assert.equal(await fetchPage(port), 'served\n');
    await api.get('/containers/json').is(200, [
      {
        Ports: (ports) =>
          (ports as { PrivatePort: number; PublicPort: number }[]).every(
            (each) => each.PrivatePort === 80 && String(each.PublicPort) === port,
          ),
      },
    ]);
    const given = String(20_000 + (process.pid % 10_000));
    await api.run(
      WEB,
      { ...body, HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: given }] } } },
      'given',
    );
    assert.equal(await fetchPage(given), 'served\n');
    await api.get('/containers/given/json').is(200, {
      NetworkSettings: { Ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: given }] } },
      HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: given }] } },
    });
  });
  check('a port that is taken fails the start and says so', async (api) => {
    const port = String(31_000 + (process.pid % 1000));
    const body = {
      ExposedPorts: { '80/tcp': {} },
      HostConfig: { PortBindings: { '80/tcp': [{ HostPort: port }] } },
    };
    await api.run(WEB, body);
    const second = await api.create(body);
    await api
      .post(`/containers/${second}/start`)
      .is(500, { message: new RegExp(`Bind for 0\\.0\\.0\\.0:${port} failed: port is already allocated`) });
    await api.get(`/containers/${second}/json`).is(200, { State: { Status: 'created' } });
  });
  check('a port of the host in use by another program fails the start', async (api) => {
    const server = http.createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', () => resolve()));
    const address = server.address();
    const port = String(typeof address === 'object' ? address?.port : 0);
    try {
      const id = await api.create({
        ExposedPorts: { '80/tcp': {} },
        HostConfig: { PortBindings: { '80/tcp': [{ HostPort: port }] } },
      });
      await api
        .post(`/containers/${id}/start`)
        .is(500, { message: /address already in use|port is already allocated/ });
    } finally {
      server.close();
    }
  });
  check('UDP is published, and the answer finds its way back', async (api) => {
    const id = await api.run('sleep 600', {
      ExposedPorts: { '53/udp': {} },
      HostConfig: { PortBindings: { '53/udp': [{ HostPort: '' }] } },
    });
    const pid = field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Pid');
    // The image's busybox cannot listen on UDP, so the server is this Node inside the container's network namespace.
    const echo = `const s = require('dgram').createSocket('udp4'); s.on('message', (m, r) => s.send('echo ' + m, r.port, r.address)); s.bind(53)`;
    const server = spawn('nsenter', ['-t', pid, '-n', process.execPath, '-e', echo], { stdio: 'ignore' });
    const socket = dgram.createSocket('udp4');
    try {
      const port = Number(await hostPort(api, id, '53/udp'));
      let answer = '';
      socket.on('message', (message) => (answer = message.toString()));
      await until('an answer over UDP', async () => {
        socket.send('hello', port, '127.0.0.1');
        await sleep(100);
        return answer === 'echo hello';
      });
    } finally {
      socket.close();
      server.kill();
    }
  });
  check('-P publishes what the image exposes', async (api) => {
    const id = await api.create({
      Image: 'layered:v1',
      Entrypoint: ['sleep', '600'],
      Cmd: [],
      HostConfig: { PublishAllPorts: true },
    });
    await api.post(`/containers/${id}/start`).is(204);
    assert.match(await hostPort(api, id, '80/tcp'), /^\d{4,5}$/);
    assert.match(await hostPort(api, id, '53/udp'), /^\d{4,5}$/);
    await api.post(`/containers/${id}/kill`).is(204);
    await api.post(`/containers/${id}/wait`).is(200);
    await api.get(`/containers/${id}/json`).is(200, { NetworkSettings: { Ports: {} } });
  });
  check('exposed ports that are not published show up bare', async (api) => {
    const id = await api.run('sleep 600', { ExposedPorts: { '81/tcp': {} } });
    await api.get(`/containers/${id}/json`).is(200, { NetworkSettings: { Ports: { '81/tcp': null } } });
    await api.get('/containers/json').is(200, [{ Ports: [{ PrivatePort: 81, Type: 'tcp' }] }]);
  });
  check('none has only loopback', async (api) => {
    assert.equal(
      (
        await api.output('ls /sys/class/net; ip -4 addr show lo | grep -c 127.0.0.1', {
          HostConfig: { NetworkMode: 'none' },
        })
      ).stdout,
      'lo\n1\n',
    );
  });
  check('the network of the host has all of it', async (api) => {
    const { stdout } = await api.output('hostname; ls /sys/class/net', {
      HostConfig: { NetworkMode: 'host' },
    });
    assert.match(stdout, /eth0|lo/);
    const id = await api.run('sleep 600', { HostConfig: { NetworkMode: 'host' } });
    await api
      .get(`/containers/${id}/json`)
      .is(200, { NetworkSettings: { IPAddress: '', Networks: { host: { IPAddress: '' } } } });
  });
  check('impossible combinations are refused', async (api) => {
    const refused = async (
      hostConfig: Record<string, unknown>,
      body: Record<string, unknown> = {},
    ): Promise<void> => {
      await api
        .post('/containers/create', { Image: 'busybox', ...body, HostConfig: hostConfig })
        .is([400, 409], { message: /conflicting options/i });
    };
    await refused({ NetworkMode: 'container:x', PortBindings: { '80/tcp': [{ HostPort: '1' }] } });
    await refused({ NetworkMode: 'container:x' }, { Hostname: 'h' });
    await refused({ NetworkMode: 'container:x', Dns: ['1.1.1.1'] });
  });
  check('a network that is not there fails the start', async (api) => {
    const id = await api.create({ HostConfig: { NetworkMode: 'nonet' } });
    await api.post(`/containers/${id}/start`).is(404, { message: /network nonet not found/ });
  });
  check('an address outside a network of the user is refused', async (api) => {
    const id = await api.create({
      NetworkingConfig: { EndpointsConfig: { bridge: { IPAMConfig: { IPv4Address: '10.1.1.1' } } } },
    });
    await api
      .post(`/containers/${id}/start`)
      .is([400, 500], { message: /user specified IP address is supported on user defined networks only/ });
  });
});
