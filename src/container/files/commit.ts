import type { Readable } from 'node:stream';
import { diffToTar } from '#/archive/tree-to-tar.ts';
import { internal } from '#/base/errors.ts';
import { applyChanges } from '#/image/config-change.ts';
import { parseNewName } from '#/image/image-records.ts';
import { ownerInside } from '#/oci/id-mapping.ts';
import type { ImageRunConfig } from '#/oci/image-config.ts';
import { familiarReference } from '#/oci/reference.ts';
import type { ContainerConfig } from '#/wire/generated.ts';
import { isOwnPlace } from './changes.ts';
import type { Container } from '../containers.ts';
import { type ContainerContext, publish } from '../context.ts';
import { mergeImageConfig } from '../create/merge-config.ts';
import { hasOwnKernel } from '../create/isolation.ts';
import { guestTar } from './guest-tar.ts';
import { openGuest } from './open-guest.ts';
import { openBareRoot } from './open-root.ts';

export interface CommitOptions {
  /** `repository[:tag]`; no name without it. */
  reference?: string;
  author?: string;
  comment?: string;
  /** Hold a running container still meanwhile. */
  pause: boolean;
  /** Dockerfile instructions. */
  changes: readonly string[];
  /** What the image is to say, and what it leaves out the container's; empty for the container's own. The changes are made to it. */
  config: ContainerConfig;
}

/** Who holds a container still. */
export interface Pauser {
  pause(reference: string): Promise<void>;
  unpause(reference: string): Promise<void>;
}

/** Makes an image of what a container wrote. Resolves with its id. */
export async function commitContainer(
  context: ContainerContext,
  pauser: Pauser,
  target: string,
  options: CommitOptions,
  signal?: AbortSignal,
): Promise<string> {
  const container = context.containers.get(target);
  const { record } = container;
  const reference = options.reference === undefined ? undefined : parseNewName(options.reference);
  const changed = Object.keys(options.config).length > 0 ? options.config : record.config;
  const config = runConfig(applyChanges(runConfig(changed), options.changes), record.config);
  const base = context.images.resolve(record.image);
  await using stack = new AsyncDisposableStack();
  if (options.pause && record.state.status === 'running') {
    await pauser.pause(container.id);
    stack.defer(() => pauser.unpause(container.id));
  }
  const layer = await writtenLayer(context, container, stack);
  const { author, comment } = options;
  const { os, architecture, variant } = base.config;
  const id = await context.images.create(
    {
      layer,
      base,
      config,
      platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
      createdBy: (record.config.Cmd ?? []).join(' '),
      ...(author === undefined ? {} : { author }),
      ...(comment === undefined ? {} : { comment }),
      ...(reference === undefined ? {} : { reference }),
    },
    signal,
  );
  publish(context.events, container, 'commit', {
    comment: comment ?? '',
    imageID: id,
    imageRef: reference === undefined ? '' : familiarReference(reference),
  });
  return id;
}

/** The tar of what the container has written. */
async function writtenLayer(
  context: ContainerContext,
  container: Container,
  stack: AsyncDisposableStack,
): Promise<Readable> {
  const { idMapping, runtime } = container.record;
  const exclude = (path: string): boolean => isOwnPlace(`/${path}`);
  if (hasOwnKernel(context.runtimes.get(runtime))) {
    const { files } = stack.use(await openGuest(context, container));
    return guestTar(files.tree('/', { whole: true, upper: true }), { isDiff: true, exclude });
  }
  stack.use(await openBareRoot(context, container));
  const { upper } = context.snapshotter.mounts(container.id);
  if (upper === undefined) throw internal(`Container ${container.id} has nothing of its own to commit`);
  return diffToTar(upper, {
    exclude,
    ...(idMapping === undefined ? {} : { ownerOf: (owner) => ownerInside(idMapping, owner) }),
  });
}

/** What an image's configuration keeps of a container's; over `below`, by the rules by which a container inherits from an image. */
function runConfig(config: ImageRunConfig | ContainerConfig, below?: ContainerConfig): ImageRunConfig {
  const whole = below === undefined ? config : mergeImageConfig(config as ContainerConfig, runConfig(below));
  const kept: Record<string, unknown> = {};
  for (const key of KEYS) {
    const value = (whole as ImageRunConfig)[key];
    if (value !== undefined && value !== null) kept[key] = value;
  }
  return kept;
}

const KEYS = [
  'User',
  'ExposedPorts',
  'Env',
  'Cmd',
  'Healthcheck',
  'Volumes',
  'WorkingDir',
  'Entrypoint',
  'OnBuild',
  'Labels',
  'StopSignal',
  'Shell',
] as const satisfies (keyof ImageRunConfig)[];
