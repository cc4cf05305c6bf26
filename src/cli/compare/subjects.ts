import { ApiError, type ApiClient, type HijackedStream } from '#/api/client/api-client.ts';
import { demultiplex } from '#/api/client/multiplexed-stream.ts';
import type { Wall } from './figures.ts';

/** What a process in a container wrote, both streams in one, and how it ended. */
export interface Ran {
  output: string;
  code: number;
  /** From the request that made it to the end of its output. */
  ms: number;
}

/**
 * The containers that a comparison makes. Disposing removes all of them, those that were about to be made too. Once `signal` is
 * aborted none of the methods makes another request.
 */
export class Subjects {
  readonly #client: ApiClient;
  readonly #image: string;
  readonly #signal: AbortSignal;
  readonly #creating = new Set<Promise<string>>();
  readonly #ids = new Set<string>();

  constructor(client: ApiClient, image: string, signal: AbortSignal) {
    this.#client = client;
    this.#image = image;
    this.#signal = signal;
  }

  /** Runs a shell command to its end and removes the container; milliseconds from the first request to the first byte of output. */
  async firstOutput(wall: Wall, script: string): Promise<number> {
    const began = performance.now();
    const id = await this.#create(wall, { Cmd: ['-c', script], AttachStdout: true, AttachStderr: true });
    const stream = await this.#attach(id);
    let first: number | undefined;
    let output = '';
    const reading = demultiplex(stream.reader, (_, data) => {
      first ??= performance.now() - began;
      output += data.toString();
    });
    // Awaited below; a start that fails comes first.
    reading.catch(() => undefined);
    try {
      await this.#request('POST', `/containers/${id}/start`);
      await reading;
    } finally {
      stream.socket.destroy();
    }
    await this.remove(id);
    if (first === undefined || !output.includes('hull')) {
      throw new Error(`The image "${this.#image}" behind the wall "${wall}" said ${JSON.stringify(output)}`);
    }
    return first;
  }

  /** Starts one whose shell waits for input that never comes, so that it needs no other program; its id. */
  async idle(wall: Wall): Promise<string> {
    const id = await this.#create(wall, { Cmd: ['-c', 'read -r line'], OpenStdin: true });
    await this.#request('POST', `/containers/${id}/start`);
    return id;
  }

  /** Runs a shell command in a running container, its input empty. */
  async exec(id: string, script: string): Promise<Ran> {
    const began = performance.now();
    const exec = await this.#json<{ Id: string }>('POST', `/containers/${id}/exec`, {
      Cmd: ['/bin/sh', '-c', script],
      User: '0',
      AttachStdout: true,
      AttachStderr: true,
    });
    this.#signal.throwIfAborted();
    const stream = await this.#client.hijack('POST', `/exec/${exec.Id}/start`, {
      body: { Detach: false, Tty: false },
    });
    let output = '';
    try {
      await demultiplex(stream.reader, (_, data) => {
        output += data.toString();
      });
    } finally {
      stream.socket.destroy();
    }
    const ms = performance.now() - began;
    const { ExitCode } = await this.#json<{ ExitCode: number | null }>('GET', `/exec/${exec.Id}/json`);
    return { output, code: ExitCode ?? 0, ms };
  }

  inspect<T>(id: string): Promise<T> {
    return this.#json<T>('GET', `/containers/${id}/json?size=1`);
  }

  stats<T>(id: string): Promise<T> {
    return this.#json<T>('GET', `/containers/${id}/stats?stream=0&one-shot=1`);
  }

  async remove(id: string): Promise<void> {
    try {
      await this.#client.text('DELETE', `/containers/${id}`, { query: { force: true, v: true } });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
    this.#ids.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#creating);
    await Promise.all([...this.#ids].map((id) => this.remove(id)));
  }

  async #create(wall: Wall, config: object): Promise<string> {
    const creating = this.#json<{ Id: string }>('POST', '/containers/create', {
      Image: this.#image,
      Entrypoint: ['/bin/sh'],
      User: '0',
      Labels: { 'hull.compare': wall },
      HostConfig: { Isolation: wall },
      ...config,
    }).then(({ Id }) => {
      this.#ids.add(Id);
      return Id;
    });
    this.#creating.add(creating);
    try {
      return await creating;
    } finally {
      this.#creating.delete(creating);
    }
  }

  async #attach(id: string): Promise<HijackedStream> {
    this.#signal.throwIfAborted();
    return this.#client.hijack('POST', `/containers/${id}/attach`, {
      query: { stream: true, stdout: true, stderr: true },
    });
  }

  async #request(method: string, path: string): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#client.text(method, path);
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    this.#signal.throwIfAborted();
    return this.#client.json<T>(method, path, body && { body });
  }
}
