import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseContainerPorts, parsePortBindings, portMap } from './port-bindings.ts';

test('parsePortBindings() reads addresses, ports, ranges and protocols', () => {
  const requests = parsePortBindings(
    { '80/tcp': {} },
    {
      '80/tcp': [
        { HostIp: '', HostPort: '8080' },
        { HostIp: '127.0.0.1', HostPort: '' },
        { HostIp: '[::1]', HostPort: '80' },
      ],
      '53/udp': [{ HostIp: '0.0.0.0', HostPort: '5300-5310' }],
      '9/sctp': [{}],
    },
  );
  assert.deepEqual(requests, [
    { containerPort: 9, protocol: 'sctp' },
    { containerPort: 53, protocol: 'udp', hostIp: '0.0.0.0', hostPort: 5300, hostPortEnd: 5310 },
    { containerPort: 80, protocol: 'tcp', hostPort: 8080 },
    { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1' },
    { containerPort: 80, protocol: 'tcp', hostIp: '::1', hostPort: 80 },
  ]);
});

test('parsePortBindings() publishes all exposed ports that have no binding of their own', () => {
  const exposed = { '80/tcp': {}, '81': {}, '8000-8001/tcp': {} };
  const bindings = { '80/tcp': [{ HostPort: '8080' }], '82/tcp': [] };
  assert.deepEqual(parsePortBindings(exposed, bindings), [
    { containerPort: 80, protocol: 'tcp', hostPort: 8080 },
  ]);
  assert.deepEqual(
    parsePortBindings(exposed, bindings, true).map(({ containerPort, hostPort }) => [
      containerPort,
      hostPort,
    ]),
    [
      [80, 8080],
      [81, undefined],
      [82, undefined],
      [8000, undefined],
      [8001, undefined],
    ],
  );
  assert.deepEqual(parsePortBindings(null, null, true), []);
});

test('parsePortBindings() refuses in Docker’s words', () => {
  const bind = (key: string, HostIp: string, HostPort: string) => () =>
    parsePortBindings({}, { [key]: [{ HostIp, HostPort }] });
  assert.throws(bind('80/icmp', '', ''), {
    kind: 'invalid',
    message: 'invalid port specification: "80/icmp"',
  });
  assert.throws(bind('0/tcp', '', ''), /invalid port specification/);
  assert.throws(bind('80/tcp', '', '70000'), { message: 'invalid port specification: "70000"' });
  assert.throws(bind('80/tcp', '', '20-10'), { message: 'invalid port specification: "20-10"' });
  assert.throws(bind('80/tcp', 'nonsense', '80'), { message: 'invalid IP address: nonsense' });
});

test('parseContainerPorts() takes any range, and nothing else', () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(port, fc.nat(20), fc.constantFrom('tcp', 'UDP', 'sctp'), (start, more, protocol) => {
      const end = Math.min(start + more, 65_535);
      const ports = parseContainerPorts(`${start}-${end}/${protocol}`);
      assert.equal(ports.length, end - start + 1);
      assert.deepEqual(ports[0], { port: start, protocol: protocol.toLowerCase() });
    }),
  );
  for (const wrong of ['', '/', 'x', '80/', '80-', '-80', '80/tcp/udp', ' 80', '8e1', '+80']) {
    assert.throws(() => parseContainerPorts(wrong), /invalid port specification/, wrong);
  }
});

test('portMap() shows exposed ports that are not published as null', () => {
  const port = { containerPort: 80, protocol: 'tcp', hostPort: 8080 } as const;
  assert.deepEqual(
    portMap({ '80/tcp': {}, '443': {} }, [
      { ...port, hostIp: '0.0.0.0' },
      { ...port, hostIp: '::' },
    ]),
    {
      '80/tcp': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
      ],
      '443/tcp': null,
    },
  );
});
