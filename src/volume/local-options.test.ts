import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLocalOptions, localMount, withoutPassword } from './local-options.ts';

test('checkLocalOptions() refuses in Docker’s words', () => {
  for (const [options, words] of [
    [{ foo: 'x' }, 'invalid option: "foo"'],
    [{ type: 'tmpfs' }, 'missing required option: "device"'],
    [{ device: 'tmpfs' }, 'missing required option: "type"'],
    [{ o: 'size=1m' }, 'missing required option: "device"'],
    [{ size: '10' }, 'quota size requested but no quota support'],
    [{ size: 'x' }, "invalid size: 'x'"],
    [{ type: 'cifs', device: '//h:1/x' }, "port not allowed in CIFS device URL, include 'port' in 'o='"],
  ] as const) {
    assert.throws(() => checkLocalOptions('v', { ...options }, { hasQuota: false }), {
      message: `create v: ${words}`,
      kind: 'invalid',
    });
  }
  checkLocalOptions('v', { size: '10m' }, { hasQuota: true });
  checkLocalOptions('v', { size: '0' }, { hasQuota: false });
  checkLocalOptions('v', { type: 'cifs', device: '//h/x', o: 'username=a' }, { hasQuota: false });
});

test('localMount() looks servers up, and nothing that has an address', async () => {
  const resolve = async (name: string): Promise<string> => {
    if (name !== 'server') throw new Error('ENOTFOUND');
    return '10.0.0.9';
  };
  for (const [given, device, o] of [
    [{ type: 'tmpfs', device: 'tmpfs', o: 'addr=server' }, 'tmpfs', 'addr=server'],
    [{ type: 'nfs', device: ':/x', o: 'addr=server,rw' }, ':/x', 'addr=10.0.0.9,rw'],
    [{ type: 'nfs', device: ':/x', o: 'rw,addr=10.0.0.1' }, ':/x', 'rw,addr=10.0.0.1'],
    [{ type: 'cifs', device: '//server/s h', o: 'u=a' }, '//10.0.0.9/s h', 'u=a'],
    [{ type: 'cifs', device: '//10.0.0.1/s', o: '' }, '//10.0.0.1/s', ''],
    [{ type: 'cifs', device: '//other/s', o: 'addr=server' }, '//other/s', 'addr=10.0.0.9'],
  ] as const) {
    assert.deepEqual(await localMount({ ...given }, resolve), { device, type: given.type, options: o });
  }
  await assert.rejects(localMount({ type: 'nfs', device: ':/x', o: 'addr=nowhere' }, resolve), {
    message: 'error resolving passed in network volume address: lookup nowhere: no such host',
  });
  await assert.rejects(localMount({ type: 'nfs' }, resolve), {
    message: 'missing device in volume options',
  });
});

test('withoutPassword() hides it', () => {
  assert.equal(
    withoutPassword('mount //a/b, data: username=u,password=secret: no', { o: 'username=u,password=secret' }),
    'mount //a/b, data: username=u,password=********: no',
  );
});
