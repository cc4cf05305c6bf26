import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { errnoCode } from '#/base/errors.ts';
import type { RuntimeSeccomp, RuntimeSpec } from '#/oci/runtime-spec.ts';

/** crun(1): base64 of the filter as the kernel takes it, instead of `linux.seccomp`. */
export const SECCOMP_ANNOTATION = 'run.oci.seccomp_bpf_data';

/** Where crun keeps a container's filter, in its state directory. */
const STATE_FILE = 'seccomp.bpf';

/**
 * Compiled seccomp filters by profile. Compiling Docker's profile takes crun longer than everything else in a container's start
 * together, so it is done once a profile: the filter of the first container that has it is kept and handed to crun ready-made.
 */
export class SeccompFilters {
  readonly #directory: string;
  readonly #known = new Map<string, string>();

  /** `directory` holds the filters between engine processes; made when the first one is kept. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Puts a kept filter into the specification in its profile's place. Returns undefined when the specification is to be used
   * as it was, and with it what to do once the container runs: `learn` its filter.
   */
  prepare(spec: RuntimeSpec): { prepared?: RuntimeSpec; learn?: (stateDirectory: string) => void } {
    const profile = spec.linux.seccomp;
    if (profile === undefined || !isPlain(profile)) return {};
    const digest = createHash('sha256').update(JSON.stringify(profile)).digest('hex');
    const filter = this.#known.get(digest) ?? this.#read(digest);
    if (filter === undefined) return { learn: (stateDirectory) => this.#learn(digest, stateDirectory) };
    return {
      prepared: {
        ...spec,
        annotations: { ...spec.annotations, [SECCOMP_ANNOTATION]: filter },
        // Should a runtime not know the annotation, the container cannot do anything, rather than everything.
        linux: { ...spec.linux, seccomp: { defaultAction: 'SCMP_ACT_ERRNO' } },
      },
    };
  }

  #learn(digest: string, stateDirectory: string): void {
    let filter: string;
    try {
      filter = readFileSync(path.join(stateDirectory, STATE_FILE)).toString('base64');
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return;
      throw error;
    }
    if (filter === '' || this.#known.has(digest)) return;
    this.#known.set(digest, filter);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const file = path.join(this.#directory, digest);
    writeFileSync(`${file}.tmp`, filter, { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  }

  #read(digest: string): string | undefined {
    try {
      const filter = readFileSync(path.join(this.#directory, digest), 'latin1');
      this.#known.set(digest, filter);
      return filter;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

/** Flags and listeners are not part of the filter: a profile that has them goes the usual way. So does one with no rules. */
function isPlain(profile: RuntimeSeccomp): boolean {
  return (
    (profile.syscalls?.length ?? 0) > 0 &&
    !profile.flags?.length &&
    profile.listenerPath === undefined &&
    profile.defaultAction !== 'SCMP_ACT_NOTIFY' &&
    profile.syscalls?.every((rule) => rule.action !== 'SCMP_ACT_NOTIFY') === true
  );
}
