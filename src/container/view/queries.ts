import { conflict } from '#/base/errors.ts';
import type { Filters } from '#/base/filters.ts';
import { MeasuredSizes } from '#/host/measured-sizes.ts';
import type { Images } from '#/image/images.ts';
import type { Digest } from '#/oci/digest.ts';
import type { ContainerInspectResponse, ContainerSummary } from '#/wire/generated.ts';
import type { Container } from '../containers.ts';
import { type ContainerContext, publish } from '../context.ts';
import { inspection, mountViews, portSummaries } from './inspect.ts';
import { listFilter } from './list-filter.ts';
import type { Task } from '#/runtime/runtime.ts';
import { guestProcessTable } from './guest-process-table.ts';
import { type ProcessTable, processTable } from './process-table.ts';
import { type ContainerRecord, isRunning } from '../record.ts';
import { statusText } from './status-text.ts';

export interface ListOptions {
  all: boolean;
  /** So many of the newest, running or not. */
  limit?: number;
  size: boolean;
  filters: Filters;
}

/** What clients ask about containers. Reads records and takes no lock: a stuck container never hangs a list. */
export class Queries {
  readonly #context: ContainerContext;
  readonly #execIds: (containerId: string) => string[];
  readonly #written = new MeasuredSizes();

  constructor(context: ContainerContext, execIds: (containerId: string) => string[]) {
    this.#context = context;
    this.#execIds = execIds;
  }

  async list(options: ListOptions): Promise<ContainerSummary[]> {
    const { containers, images } = this.#context;
    const filter = listFilter(options.filters, containers, (reference) => withDescendants(images, reference));
    const limited = options.limit !== undefined && options.limit > 0;
    let found = containers
      .all()
      .toSorted((a, b) => (a.record.created < b.record.created ? 1 : -1))
      .filter(
        ({ record }) =>
          options.all || limited || filter.all || isRunning(record) || record.state.status === 'restarting',
      )
      .filter(({ record }) => filter.matches(record));
    if (limited) found = found.slice(0, options.limit);
    const now = Date.now();
    const imageName = imageNames(images);
    return Promise.all(
      found.map(async (container) => ({
        ...this.#summary(container, now, imageName),
        ...(options.size ? await this.#sizes(container) : {}),
      })),
    );
  }

  async inspect(reference: string, options: { size: boolean }): Promise<ContainerInspectResponse> {
    const container = this.#context.containers.get(reference);
    const view = inspection(this.#context, container, this.#execIds(container.id));
    return options.size ? { ...view, ...(await this.#sizes(container)) } : view;
  }

  /** The container's processes as `ps` shows them; no arguments mean `-ef`. */
  async top(reference: string, psArgs: string): Promise<ProcessTable> {
    const container = this.#context.containers.get(reference);
    if (!isRunning(container.record) || container.task === undefined) {
      throw conflict(`container ${container.id} is not running`);
    }
    const table = await this.#processTable(container.task, psArgs || '-ef');
    publish(this.#context.events, container, 'top');
    return table;
  }

  async #processTable(task: Task, psArgs: string): Promise<ProcessTable> {
    if (task.processes !== undefined) return guestProcessTable(await task.processes(), psArgs);
    return await processTable(await task.pids(), psArgs);
  }

  #summary(
    { record }: Container,
    now: number,
    imageName: (record: ContainerRecord) => string,
  ): ContainerSummary {
    const command = [record.path, ...record.args]
      .map((word) => (/\s/.test(word) ? `'${word}'` : word))
      .join(' ');
    return {
      Id: record.id,
      Names: [record.name, ...this.#context.containers.linkNames(record.id)].map((name) => `/${name}`),
      Image: imageName(record),
      ImageID: record.image,
      Command: command,
      Created: Math.floor(Date.parse(record.created) / 1000),
      Ports: portSummaries(record),
      Labels: record.config.Labels ?? {},
      State: record.state.status,
      Status: statusText(record, now),
      HostConfig: { NetworkMode: record.hostConfig.NetworkMode },
      NetworkSettings: { Networks: record.networks },
      Mounts: mountViews(record),
    };
  }

  async #sizes({ record }: Container): Promise<{ SizeRw: number; SizeRootFs: number }> {
    const { snapshotter, rootfs } = this.#context;
    const written = await this.#written.of(record.id, (counted) => rootfs.writtenBytes(record.id, counted));
    const image = record.layers.reduce((sum, layer) => sum + (snapshotter.statLayer(layer)?.size ?? 0), 0);
    return { SizeRw: written, SizeRootFs: image + written };
  }
}

/** Images by the names they were asked for by, as long as those mean them; else by their ids. A name is looked up once for all. */
function imageNames(images: Images): (record: ContainerRecord) => string {
  const meanings = new Map<string, string | undefined>();
  const meaning = (name: string): string | undefined => {
    try {
      return images.resolve(name).id;
    } catch {
      return undefined;
    }
  };
  return ({ image, config: { Image: name = '' } }) => {
    if (!meanings.has(name)) meanings.set(name, meaning(name));
    return meanings.get(name) === image ? name : image;
  };
}

/** The ids of an image and of all that was made from it; none when there is no such image. */
function withDescendants(images: Images, reference: string): Digest[] {
  try {
    const found: Digest[] = [images.resolve(reference).id];
    for (const id of found) found.push(...images.records.children(id));
    return found;
  } catch {
    return [];
  }
}
