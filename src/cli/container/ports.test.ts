import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayPorts, type PublishedPort } from './ports.ts';

const port = (PrivatePort: number, PublicPort?: number, IP?: string, Type = 'tcp'): PublishedPort => ({
  PrivatePort,
  Type,
  ...(PublicPort !== undefined && { PublicPort }),
  ...(IP !== undefined && { IP }),
});

test('displayPorts() joins neighbours into ranges', () => {
  const cases: [PublishedPort[], string][] = [
    [[], ''],
    [[port(80)], '80/tcp'],
    [[port(80), port(81), port(82), port(90)], '80-82/tcp, 90/tcp'],
    [[port(80), port(81, undefined, undefined, 'udp')], '80/tcp, 81/udp'],
    [[port(80, 8080, '0.0.0.0')], '0.0.0.0:8080->80/tcp'],
    [[port(80, 8080, '0.0.0.0'), port(80, 8080, '::')], '0.0.0.0:8080->80/tcp, [::]:8080->80/tcp'],
    [[port(80, 80, '0.0.0.0'), port(81, 81, '0.0.0.0'), port(90)], '0.0.0.0:80-81->80-81/tcp, 90/tcp'],
    [[port(81, 81, '127.0.0.1'), port(80, 80, '127.0.0.1')], '127.0.0.1:80-81->80-81/tcp'],
  ];
  for (const [ports, text] of cases) assert.equal(displayPorts(ports), text);
});
