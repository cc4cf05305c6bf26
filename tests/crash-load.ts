import { Api, demultiplex, field } from './api/client.ts';
import { sleep } from './daemons.ts';
import type { Random } from './random.ts';
import { dockerArchive } from './test-images.ts';

/**
 * The load of the crash test: workers that do at random what clients do, while the daemon is killed under them. A worker notes
 * a fact only when the daemon has acknowledged it; whatever was under way at the crash may have happened or not.
 */
export class Load {
  /** Containers whose start was acknowledged, with the exit code their program will give. */
  readonly started = new Map<string, number>();
  /** Containers and images whose creation was acknowledged, and those whose removal was. */
  readonly containers = new Set<string>();
  readonly images = new Set<string>();
  readonly removed = new Set<string>();
  operations = 0;
  interrupted = 0;
  readonly unexpected: string[] = [];
  readonly #api: Api;
  readonly #random: Random;
  readonly #target: string;
  #serial = 0;
  #running = true;

  /** `target` is a running container to exec in. */
  constructor(api: Api, random: Random, target: string) {
    this.#api = api;
    this.#random = random;
    this.#target = target;
  }

  /** Works until `stop()`; a broken connection is expected, an answer of the wrong kind is not. */
  async work(): Promise<void> {
    const operations: [() => Promise<void>, ...(() => Promise<void>)[]] = [
      () => this.#runShort(),
      () => this.#runShort(),
      () => this.#exec(),
      () => this.#createAndRemove(),
      () => this.#startAndStop(),
      () => this.#loadAndRemove(),
    ];
    while (this.#running) {
      try {
        await this.#random.pick(operations)();
        this.operations++;
      } catch (error) {
        if (!isBroken(error)) this.unexpected.push(String(error));
        this.interrupted++;
        await sleep(20);
      }
    }
  }

  stop(): void {
    this.#running = false;
  }

  async #runShort(): Promise<void> {
    const code = this.#random.between(0, 120);
    const line = `usleep ${this.#random.between(0, 800) * 1000}; echo done; exit ${code}`;
    const id = await this.#api.create({ Cmd: ['sh', '-c', line] });
    this.containers.add(id);
    await this.#api.post(`/containers/${id}/start`).is(204);
    this.started.set(id, code);
  }

  async #exec(): Promise<void> {
    const word = `word${this.#serial++}`;
    const created = await this.#api
      .post(`/containers/${this.#target}/exec`, { Cmd: ['echo', word], AttachStdout: true })
      .is(201);
    const reply = await this.#api.post(`/exec/${field(created, 'Id')}/start`, {}).reply();
    const { stdout } = demultiplex(reply.body);
    if (stdout === `${word}\n`) return;
    // A stream that a dying engine cut off looks like one that ended; the engine that answers this one did not die.
    await this.#api.get(`/exec/${field(created, 'Id')}/json`).is(200);
    throw new Error(`exec answered ${reply.status} ${JSON.stringify(stdout)}`);
  }

  async #createAndRemove(): Promise<void> {
    const id = await this.#api.create({ HostConfig: { Binds: [`/scratch`] } });
    this.containers.add(id);
    this.containers.delete(id);
    await this.#api.delete(`/containers/${id}?v=1`).is(204);
    this.removed.add(id);
  }

  async #startAndStop(): Promise<void> {
    const id = await this.#api.run('exec sleep 600', { StopSignal: 'SIGKILL' });
    this.containers.add(id);
    await this.#api.post(`/containers/${id}/stop?t=1`).is([204, 304]);
    this.started.set(id, 137);
    if (this.#random.next() < 0.5) return;
    this.started.delete(id);
    this.containers.delete(id);
    await this.#api.delete(`/containers/${id}?force=1`).is(204);
    this.removed.add(id);
  }

  async #loadAndRemove(): Promise<void> {
    const tag = `crash:i${this.#serial++}r${this.#random.between(0, 1e9)}`;
    const layer = [{ name: 'hello', data: tag.repeat(this.#random.between(1, 20_000)) }];
    const archive = dockerArchive([{ tags: [tag], layers: [layer], config: { Cmd: ['/hello'] } }]);
    await this.#api.post('/images/load?quiet=1', archive).is(200);
    this.images.add(tag);
    if (this.#random.next() < 0.3) return;
    this.images.delete(tag);
    await this.#api.delete(`/images/${tag}`).is(200);
    this.removed.add(tag);
  }
}

/** The connection went away, as it does when the daemon is killed. */
function isBroken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return /ECONNRESET|ECONNREFUSED|ENOENT|EPIPE|socket hang up|aborted/.test(`${code} ${error.message}`);
}
