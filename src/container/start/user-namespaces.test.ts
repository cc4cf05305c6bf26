import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { mappingOfRanges } from '#/oci/id-mapping.ts';
import { UserNamespaces } from './user-namespaces.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hull-userns-'));
after(() => rmSync(directory, { recursive: true }));
const mappingFrom = (start: number): ReturnType<typeof mappingOfRanges> =>
  mappingOfRanges([{ start, length: 65_536 }], [{ start, length: 65_536 }]);
const [DAEMONS, OWN, JOINED] = [mappingFrom(100_000), mappingFrom(200_000), mappingFrom(300_000)];

function userNamespaces(
  options: Partial<ConstructorParameters<typeof UserNamespaces>[0]> = {},
): UserNamespaces {
  return new UserNamespaces({
    program: '',
    directory,
    daemon: undefined,
    own: async () => OWN,
    kernel: '6.1.0',
    roots: [],
    ...options,
  });
}

test('mappingFor() goes by the mode, then by the daemon, then by whom the container joins', async () => {
  const [off, on] = [userNamespaces(), userNamespaces({ daemon: DAEMONS })];
  for (const [engine, UsernsMode, joined, wanted] of [
    [off, '', undefined, undefined],
    [off, '', JOINED, JOINED],
    [off, 'host', JOINED, undefined],
    [off, 'private', undefined, OWN],
    [on, '', undefined, DAEMONS],
    [on, 'private', undefined, DAEMONS],
    [on, 'host', undefined, undefined],
  ] as const) {
    assert.deepEqual(await engine.mappingFor({ UsernsMode }, joined), wanted, UsernsMode);
  }
  await assert.rejects(off.mappingFor({ UsernsMode: 'auto' }, undefined), {
    kind: 'invalid',
    message: 'invalid user namespace mode: auto',
  });
});

test("mappingFor() refuses what needs the host, in Docker's words, and only in a user namespace", async () => {
  const on = userNamespaces({ daemon: DAEMONS });
  for (const [host, message] of [
    [{ Privileged: true }, /^privileged mode is incompatible with user namespaces\. {2}You must/],
    [{ NetworkMode: 'host' }, /^cannot share the host's network namespace/],
    [{ PidMode: 'host' }, /^cannot share the host PID namespace/],
  ] as const) {
    await assert.rejects(on.mappingFor(host, undefined), { kind: 'invalid', message });
    assert.equal(await on.mappingFor({ ...host, UsernsMode: 'host' }, undefined), undefined);
  }
});

test('mappingFor() needs a kernel that maps the owners of layers', async () => {
  for (const kernel of ['4.19.0', '5.15.0-91-generic', '5.18.19']) {
    await assert.rejects(userNamespaces({ daemon: DAEMONS, kernel }).mappingFor({}, undefined), {
      kind: 'notImplemented',
      message: new RegExp(`Linux 5\\.19 or later; this is ${kernel}$`),
    });
  }
  for (const kernel of ['5.19.0', '6.1.0-18-amd64', '10.0']) {
    assert.equal(await userNamespaces({ daemon: DAEMONS, kernel }).mappingFor({}, undefined), DAEMONS);
  }
});

test("refuseImpossible() opens the engine's own directories to the mapped root, and nobody else's", () => {
  const above = path.join(directory, 'above');
  const root = path.join(above, 'root');
  mkdirSync(root, { recursive: true });
  chmodSync(root, 0o711);
  const engine = userNamespaces({ daemon: DAEMONS, roots: [root] });
  chmodSync(above, 0o700);
  assert.throws(() => engine.refuseImpossible(DAEMONS), {
    message: `a subdirectory in your graphroot path (${root}) restricts access to the remapped root uid/gid; please fix by allowing 'o+x' permissions on existing directories`,
  });
  assert.equal(statSync(above).mode & 0o777, 0o700);
  chmodSync(above, 0o711);
  chmodSync(directory, 0o711);
  assert.doesNotThrow(() => engine.refuseImpossible(DAEMONS));
  assert.equal(statSync(root).mode & 0o777, 0o711, 'it could be passed already');
});
