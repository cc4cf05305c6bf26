import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isResolvedStub, resolvConf } from './resolv-conf.ts';

const HOST = `# a comment
domain old.example
nameserver 127.0.0.1
nameserver 192.0.2.53 ; trailing
nameserver 2001:db8::53
nameserver nonsense
search example.com corp.example.com
options ndots:2
options edns0 trust-ad
`;

test('resolvConf() takes the host’s, without what a container cannot reach', () => {
  assert.equal(
    resolvConf(HOST),
    'nameserver 192.0.2.53\nsearch example.com corp.example.com\noptions ndots:2 edns0 trust-ad\n',
  );
  assert.match(resolvConf(HOST, { ipv6: true }), /nameserver 192\.0\.2\.53\nnameserver 2001:db8::53\n/);
  assert.match(resolvConf(HOST, { hostNetwork: true }), /^nameserver 127\.0\.0\.1\nnameserver 192/);
});

test('resolvConf() falls back to public servers when none is left, but not in the host’s own namespace', () => {
  assert.equal(resolvConf('nameserver 127.0.0.53\n'), 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n');
  assert.equal(resolvConf('nameserver 127.0.0.53\n', { hostNetwork: true }), 'nameserver 127.0.0.53\n');
});

test('resolvConf() puts what was asked for in the place of the host’s, each by itself', () => {
  assert.equal(
    resolvConf(HOST, { dns: { servers: ['127.0.0.9', '::1'] } }),
    'nameserver 127.0.0.9\nnameserver ::1\nsearch example.com corp.example.com\noptions ndots:2 edns0 trust-ad\n',
  );
  const dns = { servers: [], search: ['.'], options: ['use-vc'] };
  assert.equal(resolvConf(HOST, { dns }), 'nameserver 192.0.2.53\noptions use-vc\n');
});

test('isResolvedStub() knows systemd-resolved’s file', () => {
  assert.equal(isResolvedStub('nameserver 127.0.0.53\noptions edns0\n'), true);
  assert.equal(isResolvedStub(HOST), false);
});
