import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { type NewTarMember, writeTar } from '#/archive/tar-writer.ts';
import { Logger } from '#/base/log.ts';
import { readToEnd } from '#/base/streams.ts';
import { DirectoryContentStore } from '#/content/directory-content-store.ts';
import type { Digest } from '#/oci/digest.ts';
import type { ImageConfig } from '#/oci/image-config.ts';
import { openSnapshotter } from '#/snapshot/open-snapshotter.ts';
import type { Snapshotter } from '#/snapshot/snapshotter.ts';
import { Database } from '#/state/database.ts';
import { EventLog } from '#/state/events.ts';
import { Leases } from '#/state/leases.ts';
import { Images } from './images.ts';
import type { ImageUser } from './image-users.ts';
import type { ProgressMessage } from './progress.ts';

/** A real image store in a temporary directory, and containers that are only claimed: what the tests of this room work on. */
export interface TestImages {
  images: Images;
  events: EventLog;
  leases: Leases;
  snapshotter: Snapshotter;
  /** Claimed containers, by image. */
  users: Map<Digest, ImageUser[]>;
  layersInUse: Set<Digest>;
  unmounted: Digest[];
  /** Opens the same directory again, as after a crash. */
  reopen(): Promise<TestImages>;
}

export async function testImages(t: { after(clean: () => void): void }): Promise<TestImages> {
  const root = mkdtempSync(path.join(tmpdir(), 'hull-images-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return openImages(root, t);
}

async function openImages(root: string, t: { after(clean: () => void): void }): Promise<TestImages> {
  const database = new Database(path.join(root, 'hull.db'));
  t.after(() => database.close());
  const events = new EventLog();
  const leases = new Leases(database);
  const snapshotter = openSnapshotter(root, { kind: 'erofs' });
  await snapshotter.tidy();
  const users = new Map<Digest, ImageUser[]>();
  const layersInUse = new Set<Digest>();
  const unmounted: Digest[] = [];
  const images = new Images({
    database,
    events,
    leases,
    content: await DirectoryContentStore.open(path.join(root, 'content')),
    snapshotter,
    users: { usersOf: (image) => users.get(image) ?? [], layersInUse: () => layersInUse },
    mounts: { unmount: (diffId) => void unmounted.push(diffId) },
    logger: new Logger('fatal'),
  });
  const reopen = async (): Promise<TestImages> => {
    database.close();
    return openImages(root, t);
  };
  return { images, events, leases, snapshotter, users, layersInUse, unmounted, reopen };
}

export function tarOf(files: Record<string, string>): Promise<Buffer> {
  const members = Object.entries(files).map(([name, text]) => ({ entry: { name }, data: Buffer.from(text) }));
  return readToEnd(writeTar(members));
}

export function sha256(bytes: Buffer): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Bytes in chunks that fall across every boundary. */
export function streamOf(bytes: Buffer, chunk = 1000): Readable {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunk) chunks.push(bytes.subarray(at, at + chunk));
  return Readable.from(chunks, { objectMode: false });
}

export function configOf(layers: readonly Buffer[], more: Partial<ImageConfig> = {}): Buffer {
  const config: ImageConfig = {
    architecture: 'amd64',
    os: 'linux',
    created: '2024-05-01T10:00:00Z',
    rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
    ...more,
  };
  return Buffer.from(JSON.stringify(config));
}

/** The members of an archive as old `docker save` wrote them. */
export function dockerArchive(
  config: Buffer,
  layers: readonly Buffer[],
  tags: string[] | null,
): NewTarMember[] {
  const name = `${sha256(config).slice(7)}.json`;
  const item = { Config: name, RepoTags: tags, Layers: layers.map((_, i) => `layer${i}/layer.tar`) };
  return [
    ...layers.map((data, i) => ({ entry: { name: `layer${i}/layer.tar` }, data })),
    { entry: { name: 'layer0/VERSION' }, data: Buffer.from('1.0') },
    { entry: { name }, data: config },
    { entry: { name: 'manifest.json' }, data: Buffer.from(JSON.stringify([item])) },
  ];
}

/** Loads an archive of these members and returns what was told. */
export async function load(images: Images, members: Iterable<NewTarMember>): Promise<ProgressMessage[]> {
  return Array.fromAsync(images.load(writeTar(members)));
}

/** Loads an image of one layer that holds `text`. Returns its id. */
export async function loadSimple(
  images: Images,
  text: string,
  tags: string[],
  more: Partial<ImageConfig> = {},
): Promise<Digest> {
  const layer = await tarOf({ 'etc/text': text });
  const config = configOf([layer], more);
  await load(images, dockerArchive(config, [layer], tags));
  return sha256(config);
}
