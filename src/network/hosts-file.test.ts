import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostnameFile, hostsFile, parseExtraHost, withAddress } from './hosts-file.ts';

test('hostsFile() has the standard names, the added ones, then the container', () => {
  const text = hostsFile({
    hostname: 'web',
    domainname: 'example.com',
    addresses: ['172.17.0.2'],
    extraHosts: ['db:10.0.0.5', 'six=[2001:db8::1]', 'up:host-gateway'],
    gateways: ['172.17.0.1', 'fd00::1'],
  });
  assert.equal(
    text,
    [
      '127.0.0.1\tlocalhost',
      '::1\tlocalhost ip6-localhost ip6-loopback',
      'fe00::\tip6-localnet',
      'ff00::\tip6-mcastprefix',
      'ff02::1\tip6-allnodes',
      'ff02::2\tip6-allrouters',
      '10.0.0.5\tdb',
      '2001:db8::1\tsix',
      '172.17.0.1\tup',
      'fd00::1\tup',
      '172.17.0.2\tweb.example.com web',
      '',
    ].join('\n'),
  );
});

test('hostsFile() names linked containers before the container itself', () => {
  const links = [{ address: '10.0.0.3', names: ['db', 'abc', 'postgres'] }];
  const text = hostsFile({ hostname: 'web', addresses: ['10.0.0.2'], extraHosts: ['x:1.2.3.4'], links });
  assert.match(text, /1\.2\.3\.4\tx\n10\.0\.0\.3\tdb abc postgres\n10\.0\.0\.2\tweb\n$/);
});

test('withAddress() changes the line of one name, and no other', () => {
  const text = '127.0.0.1\tlocalhost\n10.0.0.3\tdb abc\n# own db\n10.0.0.4 dbx\n10.0.0.5\tweb db\n';
  assert.equal(withAddress(text, 'db', '10.9.9.9'), text.replace('10.0.0.3', '10.9.9.9'));
});

test('hostsFile() gives a full host name its first part as a second name', () => {
  const last = (hostname: string): string | undefined =>
    hostsFile({ hostname, addresses: ['10.0.0.2'] })
      .split('\n')
      .at(-2);
  assert.equal(last('web.example.com'), '10.0.0.2\tweb.example.com web');
  assert.equal(last('web'), '10.0.0.2\tweb');
});

test('parseExtraHost() refuses what has no name or no address', () => {
  assert.throws(() => parseExtraHost('alone'), {
    kind: 'invalid',
    message: 'bad format for add-host: "alone"',
  });
  assert.throws(() => parseExtraHost('db:here'), { message: 'invalid IP address in add-host: "here"' });
  assert.deepEqual(parseExtraHost('v6:::1'), { name: 'v6', address: '::1' });
});

test('hostnameFile() ends the line', () => {
  assert.equal(hostnameFile('web'), 'web\n');
});

test('hostsFile() does not make up an address of the host', () => {
  assert.throws(() => hostsFile({ hostname: 'web', addresses: [], extraHosts: ['up:host-gateway'] }), {
    message: 'unable to derive the IP value for host-gateway',
  });
});
