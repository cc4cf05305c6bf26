import path from 'node:path';
import { engineVersion } from '#/api/server/engine-version.ts';
import type { ContainerDefaults } from '#/container/context.ts';
import type { SystemVersion } from '#/wire/generated.ts';
import { askVersion, type ProgramVersion } from './program-version.ts';

/** The programs that the engine works with; each is asked once what it is, when somebody wants to know. */
export class Programs {
  readonly #defaults: ContainerDefaults;
  readonly #programOf: (runtime: string) => string;
  readonly #asked = new Map<string, Promise<ProgramVersion | undefined>>();

  /** `programOf` is the OCI runtime behind the name of one. */
  constructor(defaults: ContainerDefaults, programOf: (runtime: string) => string) {
    this.#defaults = defaults;
    this.#programOf = programOf;
  }

  async versions(): Promise<{
    runtimeVersion: ProgramVersion | undefined;
    initVersion: ProgramVersion | undefined;
  }> {
    const { runtime, initPath } = this.#defaults;
    const [runtimeVersion, initVersion] = await Promise.all([
      this.#ask(this.#programOf(runtime)),
      initPath === undefined ? undefined : this.#ask(initPath),
    ]);
    return { runtimeVersion, initVersion };
  }

  /** `GET /version`, with these programs as components beside the engine. */
  async version(config: { experimental: boolean }): Promise<SystemVersion> {
    const { runtimeVersion, initVersion } = await this.versions();
    const { runtime, initPath = '' } = this.#defaults;
    const known = [
      { name: path.basename(this.#programOf(runtime)), found: runtimeVersion },
      { name: path.basename(initPath), found: initVersion },
    ];
    const components = known.flatMap(({ name, found }) =>
      found === undefined
        ? []
        : [{ Name: name, Version: found.version, Details: { GitCommit: found.commit } }],
    );
    const engine = engineVersion(config);
    return { ...engine, Components: [...(engine.Components ?? []), ...components] };
  }

  #ask(program: string): Promise<ProgramVersion | undefined> {
    const asked = this.#asked.get(program) ?? askVersion(program);
    this.#asked.set(program, asked);
    return asked;
  }
}
