import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSyslogOptions, type SyslogAddress } from './syslog-options.ts';

const address = (text: string): SyslogAddress | undefined =>
  parseSyslogOptions({ 'syslog-address': text }).address;

test('parseSyslogOptions() reads addresses of every transport', () => {
  assert.equal(address(''), undefined);
  assert.deepEqual(address('udp://1.2.3.4:1111'), { transport: 'udp', host: '1.2.3.4', port: '1111' });
  assert.deepEqual(address('tcp://logs.example'), { transport: 'tcp', host: 'logs.example', port: '514' });
  assert.deepEqual(address('tcp+tls://[::1]:6514'), { transport: 'tcp+tls', host: '::1', port: '6514' });
  assert.deepEqual(address('unix:///dev/null'), { transport: 'unix', path: '/dev/null' });
  assert.deepEqual(address('unixgram:///dev/null'), { transport: 'unixgram', path: '/dev/null' });
});

test('parseSyslogOptions() takes facilities by name and by number', () => {
  const facility = (text: string): number => parseSyslogOptions({ 'syslog-facility': text }).facility;
  for (const [text, number] of Object.entries({ '': 3, kern: 0, authpriv: 10, ftp: 11, local7: 23, 17: 17 }))
    assert.equal(facility(text), number, text);
  for (const text of ['local8', '24', '-1', 'x'])
    assert.throws(() => facility(text), { message: 'invalid syslog facility' }, text);
});

test("parseSyslogOptions() refuses in the words of Docker's driver", () => {
  const cases: [Record<string, string>, string][] = [
    [{ 'syslog-address': 'foo://x' }, "unsupported scheme: 'foo'"],
    [{ 'syslog-address': 'x' }, "unsupported scheme: ''"],
    [{ 'syslog-address': 'unix:///nosuch' }, 'stat /nosuch: no such file or directory'],
    [{ 'syslog-address': 'udp://h:99999' }, 'dial udp: address 99999: invalid port'],
    [{ 'syslog-address': 'udp://a:b:c' }, 'address a:b:c: too many colons in address'],
    [{ 'syslog-format': 'x' }, 'invalid syslog format'],
  ];
  for (const [options, message] of cases) assert.throws(() => parseSyslogOptions(options), { message });
});
