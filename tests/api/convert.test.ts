import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { getXattr, listXattrs, setXattr } from '../../src/host/xattr.ts';
import { type Daemon, mountsUnder, request, until } from '../daemons.ts';
import { grantSubordinateIds } from '../subordinate-ids.ts';
import { type Api, field, type Json } from './client.ts';
import { onEveryEngine } from './engines.ts';

/** What files there may be in a writable top: odd times, owners and names, links, devices, holes, whiteouts, an opaque directory. */
const WRITE = `
  mkdir -p /w/deep/er; echo text >/w/deep/er/file; chown -R 12:34 /w/deep; chmod 2751 /w/deep
  ln /w/deep/er/file /w/same; ln -s ../gone /w/link; mkfifo -m 600 /w/fifo; mknod /w/null c 1 3; echo x >'/w/ n\\ame'; echo y >/w/.wh.plain
  dd if=/dev/zero of=/w/holes bs=1 count=0 seek=2000000; echo end >>/w/holes; dd if=/dev/urandom of=/w/noise bs=64k count=3
  cp /bin/busybox /w/program; chmod 4755 /w/program; touch -d @86400 /w/same
  rm /etc/shadow; rm -r /home; mkdir /home; echo new >/home/new; rm /etc/group; mkdir /etc/group; rmdir /var; echo >/var
  for i in $(seq 40); do echo $i >/w/deep/$i; done; chmod 751 /; touch -d @777 /w/deep`;
/** Fails where it is not all there, in the container that it looks into from within. */
const LOOK = `
  set -e; cd /w; [ "$(stat -c %u:%g:%a deep)" = 12:34:2751 ]; [ "$(cat deep/40)" = 40 ]; [ "$(stat -c %h same)" = 2 ]
  [ "$(stat -c %Y same)" = 86400 ]; [ "$(readlink link)" = ../gone ]; [ -p fifo ]; [ -c null ]; [ -f .wh.plain ]; [ -f ' n\\ame' ]
  [ "$(tail -c 4 holes)" = end ]; [ "$(stat -c %s holes)" = 2000004 ]; [ "$(stat -c %b holes)" -lt 500 ]
  [ -u program ]; [ ! -e /etc/shadow ]; [ "$(ls /home)" = new ]; [ -d /etc/group ]; [ -f /var ]; [ "$(stat -c %a /)" = 751 ]
  echo all there`;

const upperOf = (daemon: Daemon, id: string): string => path.join(daemon.dataRoot, 'snapshots', id, 'upper');

/** All that the host's kernel knows of the files below a directory, but for what is the kernel's own. */
function listing(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const inodes = new Map<bigint, string>();
  const walk = (name: string): void => {
    const file = path.join(root, name);
    const { mode, uid, gid, size, mtimeNs, rdev, ino } = lstatSync(file, { bigint: true });
    const xattrs = listXattrs(file)
      .filter((key) => !/^trusted\.overlay\.(?!opaque)/.test(key))
      .map((key) => `${key}=${getXattr(file, key)?.toString('hex')}`);
    const first = inodes.get(ino) ?? name;
    inodes.set(ino, first);
    const isDirectory = (mode & 0o170000n) === 0o040000n;
    const content =
      (mode & 0o170000n) === 0o100000n
        ? createHash('sha256').update(readFileSync(file)).digest('hex')
        : (mode & 0o170000n) === 0o120000n
          ? readlinkSync(file)
          : '';
    found[name] = [
      mode,
      uid,
      gid,
      isDirectory ? 0 : size,
      mtimeNs,
      rdev,
      first,
      content,
      ...xattrs.sort(),
    ].join(' ');
    if (isDirectory) for (const child of readdirSync(file)) walk(path.join(name, child));
  };
  walk('.');
  return found;
}

async function convert(api: Api, id: string, isolation: string): Promise<void> {
  const url = `/hull/containers/${id}/convert?isolation=${isolation}`;
  const { status, body } = await request(api.socket, 'POST', url, { timeoutMs: CONVERSION_TIMEOUT_MS });
  assert.equal(status, 204, body.toString());
}

/** The answer comes when all has been copied. */
const CONVERSION_TIMEOUT_MS = 60_000;

/** A container that has written and ended. */
async function written(api: Api, body: Record<string, unknown> = {}, line = WRITE): Promise<string> {
  const id = await api.run(line, body);
  await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 0 });
  return id;
}

/** What a container's program wrote the last time it was started. */
async function started(api: Api, id: string): Promise<string> {
  await api.post(`/containers/${id}/start`).is(204);
  await api.post(`/containers/${id}/wait`).is(200);
  const { body } = await api.get(`/containers/${id}/logs?stdout=1&stderr=1`).reply();
  return body.toString();
}

onEveryEngine(
  'convert',
  ({ check }) => {
    check('what was written is the same behind the other wall and back', async (api, daemon) => {
      const line = `if [ -d /w ]; then ${LOOK}; else ${WRITE}; fi`;
      const id = await written(api, {}, line);
      const upper = upperOf(daemon, id);
      setXattr(`${upper}/w/same`, 'user.note', Buffer.from('of mine'));
      setXattr(
        `${upper}/w/program`,
        'security.capability',
        Buffer.from('0100000200040000000000000000000000000000', 'hex'),
      );
      const before = listing(upper);
      assert.match(before['home'] ?? '', /trusted\.overlay\.opaque=79/);
      const changes = await api.get(`/containers/${id}/changes`).is(200);
      await convert(api, id, 'vm');
      assert.ok(!readdirSync(path.join(daemon.dataRoot, 'snapshots', id)).includes('upper'));
      await api.get(`/containers/${id}/changes`).is(200, changes);
      assert.match(await started(api, id), /all there/);
      await convert(api, id, 'container');
      const after = listing(upper);
      for (const [name, state] of Object.entries(before)) assert.equal(after[name], state, name);
      assert.deepEqual(Object.keys(after).toSorted(), Object.keys(before).toSorted());
      assert.match(await started(api, id), /all there[^]*all there/);
      assert.deepEqual(readdirSync(path.join(daemon.dataRoot, 'snapshots')), [id]);
    });

    check('everything else stays as it was', async (api) => {
      const id = await written(
        api,
        {
          Labels: { l: 'm' },
          HostConfig: {
            Binds: ['kept:/v'],
            Tmpfs: { '/t': '' },
            RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
            PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] },
          },
          ExposedPorts: { '80/tcp': {} },
        },
        'echo more >>/v/f; cat /v/f',
      );
      const name = field(await api.get(`/containers/${id}/json`).is(200), 'Name');
      const settled = async (): Promise<Json> => {
        const {
          GraphDriver: _,
          State: __,
          LogPath: ___,
          ...rest
        } = (await api.get(`/containers/${id}/json`).is(200)) as Record<string, Json>;
        const { Isolation: ____, Runtime: _____, ...host } = rest['HostConfig'] as Record<string, Json>;
        return { ...rest, HostConfig: host };
      };
      const before = await settled();
      await convert(api, id, 'vm');
      assert.deepEqual(await settled(), before);
      await api.get(`/containers/${id}/json`).is(200, { HostConfig: { Isolation: '', Runtime: 'vm' } });
      assert.match(await started(api, id), /more[^]*more/);
      await convert(api, name.slice(1), 'container');
      await api
        .get(`/containers/${id}/json`)
        .is(200, { HostConfig: { Isolation: '', Runtime: /^(crun|runc)$/ } });
      assert.deepEqual(await settled(), before);
      await api.delete('/volumes/kept').is(409);
    });

    check('what cannot be converted is refused, and stays as it is', async (api) => {
      await api
        .post('/hull/containers/none/convert?isolation=vm')
        .is(404, { message: 'No such container: none' });
      const id = await api.run('sleep 600', {}, 'busy');
      await api.post(`/hull/containers/${id}/convert`).is(400);
      await api
        .post(`/hull/containers/${id}/convert?isolation=hyperv`)
        .is(400, { message: /^invalid isolation \(hyperv\)/ });
      await api.post(`/hull/containers/${id}/convert?isolation=vm`).is(409, {
        message:
          'cannot convert container "/busy": container is running: stop the container before converting',
      });
      await convert(api, id, 'container');
      await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
      for (const HostConfig of [
        { IpcMode: 'host' },
        { PidMode: 'host' },
        { Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/x', CgroupPermissions: 'r' }] },
      ]) {
        const other = await api.create({ HostConfig });
        await api
          .post(`/hull/containers/${other}/convert?isolation=vm`)
          .is(501, { message: /^a microVM cannot have / });
        await api
          .get(`/containers/${other}/json`)
          .is(200, { HostConfig: { Isolation: '', Runtime: /^(crun|runc)$/ } });
      }
    });

    check('what limits the writing stays, and nothing stays mounted', async (api, daemon) => {
      const size = '20m';
      const id = await written(
        api,
        { HostConfig: { StorageOpt: { size } } },
        'dd if=/dev/urandom of=/big bs=1M count=4; dd if=/dev/zero of=/more bs=1M count=30; rm /more; ls -l /big',
      );
      for (const isolation of ['vm', 'container']) {
        await convert(api, id, isolation);
        await api.get(`/containers/${id}/json`).is(200, { HostConfig: { StorageOpt: { size } } });
        assert.match(await started(api, id), / 4194304 [^]*No space left on device/);
        assert.deepEqual(
          mountsUnder(daemon.execRoot).filter((target) => target.includes('.converted')),
          [],
        );
      }
    });

    check('a user namespace’s files are its own again when they come back', async (api, daemon) => {
      const body = {
        Cmd: [
          'sh',
          '-c',
          `if [ -d /w ]; then ${LOOK}; else ${WRITE.replace('mknod /w/null c 1 3;', 'mkfifo /w/null;')}; fi`.replace(
            '[ -c null ]',
            '[ -p null ]',
          ),
        ],
        HostConfig: { UsernsMode: 'private' },
      };
      const id = await api.create(body);
      await started(api, id);
      const before = listing(upperOf(daemon, id));
      await convert(api, id, 'vm');
      assert.match(await started(api, id), /all there/);
      await convert(api, id, 'container');
      const root = lstatSync(upperOf(daemon, id)).uid;
      assert.notEqual(root, 0);
      assert.equal(lstatSync(path.join(upperOf(daemon, id), 'w/deep')).uid, root + 12);
      assert.deepEqual(Object.keys(listing(upperOf(daemon, id))).toSorted(), Object.keys(before).toSorted());
      assert.match(await started(api, id), /all there[^]*all there/);
    });

    check(
      'a daemon that is killed meanwhile leaves the container behind one wall, whole',
      async (api, daemon) => {
        const id = await written(api);
        const snapshots = path.join(daemon.dataRoot, 'snapshots');
        const half = api
          .post(`/hull/containers/${id}/convert?isolation=vm`)
          .reply()
          .catch(() => undefined);
        await until('the second snapshot is there', () => readdirSync(snapshots).length === 2);
        await daemon.kill();
        await half;
        await daemon.start();
        assert.deepEqual(readdirSync(snapshots), [id]);
        assert.match(
          ((await api.get(`/containers/${id}/changes`).is(200)) as { Path: string }[])
            .map(({ Path }) => Path)
            .join(),
          /\/w\/deep\/40/,
        );

        // Killed when the record said so, and the first snapshot was there still, or was not any more.
        await convert(api, id, 'vm');
        for (const isThere of [true, false]) {
          await daemon.kill();
          const place = path.join(snapshots, id);
          renameSync(place, `${place}.converted`);
          if (isThere) {
            mkdirSync(path.join(place, 'upper'), { recursive: true });
            mkdirSync(path.join(place, 'work'));
            const { layers } = JSON.parse(readFileSync(`${place}.converted/snapshot.json`, 'utf8')) as {
              layers: string[];
            };
            writeFileSync(path.join(place, 'snapshot.json'), JSON.stringify({ layers, readonly: false }));
          }
          await daemon.start();
          assert.deepEqual(readdirSync(snapshots), [id]);
          assert.ok(readdirSync(place).includes('disk'));
        }
        await convert(api, id, 'container');
        assert.equal(readFileSync(path.join(upperOf(daemon, id), 'w/deep/40'), 'utf8'), '40\n');
        // Killed before the record said so.
        await daemon.kill();
        cpSync(path.join(snapshots, id), path.join(snapshots, `${id}.converted`), {
          recursive: true,
          filter: (file) => !/upper\/|work\//.test(file),
        });
        await daemon.start();
        await until('what was half made is gone', () => readdirSync(snapshots).length === 1);
        assert.equal(readFileSync(path.join(upperOf(daemon, id), 'w/deep/40'), 'utf8'), '40\n');
      },
    );
  },
  ['hull'],
  { microvms: true, prepare: grantSubordinateIds },
);
