import type { ApiClient, Query } from '#/api/client/api-client.ts';
import { truncateId } from '../format/listing.ts';

/** A word that would do, and what is said beside it. */
export interface Candidate {
  value: string;
  about?: string;
}

/** Where candidates come from: a fixed list, or what the daemon has. */
export type Source =
  | readonly string[]
  | 'containers'
  | 'running'
  | 'stopped'
  | 'paused'
  | 'unpaused'
  | 'images'
  | 'networks'
  | 'volumes'
  | 'objects'
  | 'log drivers'
  | 'runtimes'
  | 'checkpoints'
  | 'contexts'
  | 'variables'
  /** Paths in containers, and files of the caller's. */
  | 'copies'
  | 'files';

interface ContainerRow {
  Names?: string[] | null;
  Image: string;
  State: string;
  Status: string;
}

/** The names the daemon knows. A user who presses a key does not wait for one that does not answer. */
export class DaemonNames {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async containers(suits: (row: ContainerRow) => boolean = () => true): Promise<Candidate[]> {
    const rows = await this.#ask<ContainerRow[]>('/containers/json', { all: true });
    return rows.filter(suits).flatMap(({ Names, Image, Status }) => {
      const value = (Names ?? []).map((name) => name.slice(1)).find((name) => !name.includes('/'));
      return value === undefined ? [] : [{ value, about: `${Image}, ${Status}` }];
    });
  }

  async images(): Promise<Candidate[]> {
    const rows = await this.#ask<{ Id: string; RepoTags?: string[] | null }[]>('/images/json');
    return rows.flatMap(({ Id, RepoTags }) => {
      const tags = (RepoTags ?? []).filter((tag) => !tag.startsWith('<none>'));
      return tags.length === 0
        ? [{ value: truncateId(Id) }]
        : tags.flatMap((tag) => [
            { value: tag, about: truncateId(Id) },
            // The tag that need not be written.
            ...(tag.endsWith(':latest') ? [{ value: tag.slice(0, -':latest'.length) }] : []),
          ]);
    });
  }

  async networks(): Promise<Candidate[]> {
    const rows = await this.#ask<{ Name: string; Driver: string }[]>('/networks');
    return rows.map(({ Name, Driver }) => ({ value: Name, about: Driver }));
  }

  async volumes(): Promise<Candidate[]> {
    const { Volumes } = await this.#ask<{ Volumes?: { Name: string; Driver: string }[] | null }>('/volumes');
    return (Volumes ?? []).map(({ Name, Driver }) => ({ value: Name, about: Driver }));
  }

  async checkpoints(container: string): Promise<Candidate[]> {
    const rows = await this.#ask<{ Name: string }[] | null>(`/containers/${container}/checkpoints`);
    return (rows ?? []).map(({ Name }) => ({ value: Name }));
  }

  async logDrivers(): Promise<Candidate[]> {
    const { Plugins } = await this.#ask<{ Plugins?: { Log?: string[] | null } }>('/info');
    return (Plugins?.Log ?? []).map((value) => ({ value }));
  }

  async runtimes(): Promise<Candidate[]> {
    const { Runtimes } = await this.#ask<{ Runtimes?: Record<string, unknown> }>('/info');
    return Object.keys(Runtimes ?? {}).map((value) => ({ value }));
  }

  #ask<T>(path: string, query: Query = {}): Promise<T> {
    return this.#client.json<T>('GET', path, { query });
  }
}
