import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { tar, type TarEntry } from './tar-writer.ts';

/** Images made here from the host's static busybox, so that every engine under test gets the very same bytes and ids. */
export interface ImageSource {
  tags: string[];
  layers: TarEntry[][];
  config: Record<string, unknown>;
}

const ETC: TarEntry[] = [
  {
    name: 'etc/passwd',
    data: 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nalice:x:1000:1000::/home/alice:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
  },
  {
    name: 'etc/group',
    data: 'root:x:0:\ndaemon:x:1:\nalice:x:1000:\ndialout:x:20:alice\nnogroup:x:65534:\n',
  },
  { name: 'etc/shadow', data: 'root:*:::::::\nalice:*:::::::\n', mode: 0o640 },
];

function busyboxLayer(): TarEntry[] {
  const applets = execFileSync('busybox', ['--list'], { encoding: 'utf8', timeout: 5000 }).trim().split('\n');
  const directories = ['bin', 'dev', 'etc', 'home', 'home/alice', 'proc', 'root', 'sys', 'tmp', 'usr', 'var'];
  return [
    ...directories.map((name) => {
      const mode = name === 'tmp' ? 0o1777 : name === 'root' ? 0o700 : 0o755;
      const owner = name === 'home/alice' ? 1000 : 0;
      return { name, type: 'directory' as const, mode, uid: owner, gid: owner };
    }),
    { name: 'bin/busybox', mode: 0o755, data: readFileSync('/bin/busybox') },
    ...applets
      .filter((applet) => applet !== 'busybox')
      .map((applet) => ({
        name: `bin/${applet}`,
        type: 'hardlink' as const,
        target: 'bin/busybox',
        mode: 0o755,
      })),
    ...ETC,
  ];
}

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function busyboxImage(tag = 'busybox:latest'): ImageSource {
  return { tags: [tag], layers: [busyboxLayer()], config: { Cmd: ['sh'], Env: [PATH] } };
}

/** Three layers: one adds, the next removes a file, empties a directory and changes another; every field of a config is used. */
export function layeredImage(tag = 'layered:v1'): ImageSource {
  return {
    tags: [tag],
    layers: [
      busyboxLayer(),
      [
        { name: 'app', type: 'directory', uid: 1000, gid: 1000 },
        { name: 'app/kept', data: 'kept\n' },
        { name: 'app/removed', data: 'removed\n' },
        { name: 'app/changed', data: 'before\n' },
        { name: 'opaque', type: 'directory' },
        { name: 'opaque/old', data: 'old\n' },
        { name: 'data', type: 'directory', mode: 0o750, uid: 1000, gid: 1000 },
        { name: 'data/seed', data: 'seeded\n', uid: 1000, gid: 1000 },
        { name: 'app/run', mode: 0o755, data: '#!/bin/sh\necho "run: $*"\n' },
      ],
      [
        { name: 'app/.wh.removed', data: '' },
        { name: 'app/changed', data: 'after\n' },
        { name: 'opaque', type: 'directory' },
        { name: 'opaque/.wh..wh..opq', data: '' },
        { name: 'opaque/new', data: 'new\n' },
      ],
    ],
    config: {
      Entrypoint: ['/app/run'],
      Cmd: ['one', 'two'],
      Env: [PATH, 'COLOR=blue'],
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      Labels: { 'org.example.role': 'test', stage: 'image' },
      StopSignal: 'SIGQUIT',
      User: 'alice',
      Volumes: { '/data': {} },
      WorkingDir: '/app',
    },
  };
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The archive `docker save` writes and `docker load` reads (manifest.json beside configs and layers). */
export function dockerArchive(images: readonly ImageSource[]): Buffer {
  const entries = new Map<string, TarEntry>();
  const manifest = images.map((image) => {
    const layers = image.layers.map((layer) => tar(layer));
    const config = JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      created: '2024-01-02T03:04:05.678Z',
      author: 'tests',
      config: image.config,
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
      history: layers.map((_layer, index) => ({
        created: new Date(Date.UTC(2024, 0, 2, 3, 4, index)).toISOString().replace('.000', ''),
        created_by: `layer ${index}`,
      })),
    });
    const names = layers.map((layer) => {
      const name = `${sha256(layer)}/layer.tar`;
      entries.set(name, { name, data: layer });
      return name;
    });
    const configName = `${sha256(config)}.json`;
    entries.set(configName, { name: configName, data: config });
    return { Config: configName, RepoTags: image.tags, Layers: names };
  });
  return tar([...entries.values(), { name: 'manifest.json', data: JSON.stringify(manifest) }]);
}

/** The image's id: the digest of its config, the same in every engine of the classic store. */
export function imageId(image: ImageSource): string {
  const archive = dockerArchive([image]);
  const name = /[0-9a-f]{64}\.json/.exec(archive.toString('latin1'))?.[0] ?? '';
  return `sha256:${name.replace('.json', '')}`;
}
