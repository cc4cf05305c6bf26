import { clampRlimits } from '#/oci/default-spec.ts';
import type { RuntimeRlimit } from '#/oci/runtime-spec.ts';
import type { HostConfig } from '#/wire/generated.ts';

/** What the engine itself may give, and so what a container can get. */
export interface ProcessLimitHost {
  /** The engine's own hard limits by `RLIMIT_…` name. */
  hardLimits: Readonly<Record<string, number>>;
  oomScoreAdj: number;
  canLowerOomScore: boolean;
}

export interface ProcessLimits {
  rlimits: RuntimeRlimit[];
  oomScoreAdj?: number;
  /** What was asked for and cannot be given whole. */
  warnings: string[];
}

/** Ulimits and the OOM score of a container's processes; the daemon's default ulimits where it names none of its own. */
export function processLimits(
  { Ulimits, OomScoreAdj: oomScoreAdj = 0 }: HostConfig,
  defaults: readonly RuntimeRlimit[],
  host: ProcessLimitHost,
): ProcessLimits {
  const wanted = (Ulimits ?? []).map(({ Name = '', Soft = 0, Hard = 0 }) => ({
    type: `RLIMIT_${Name.toUpperCase()}`,
    soft: unlimited(Soft),
    hard: unlimited(Hard),
  }));
  const named = new Set(wanted.map((limit) => limit.type));
  const inherited = defaults.filter((limit) => !named.has(limit.type));
  const { rlimits, warnings } = clampRlimits(wanted, host.hardLimits);
  rlimits.push(...clampRlimits(inherited, host.hardLimits).rlimits);
  if (oomScoreAdj === 0) return { rlimits, warnings };
  if (oomScoreAdj < host.oomScoreAdj && !host.canLowerOomScore) {
    warnings.push(
      `The engine may not lower the OOM score below its own ${host.oomScoreAdj}: ${oomScoreAdj} has no effect.`,
    );
    return { rlimits, warnings };
  }
  return { rlimits, oomScoreAdj, warnings };
}

/** The specification's largest value stands for no limit (getrlimit(2), RLIM_INFINITY), which a double cannot hold. */
function unlimited(value: number): number {
  return value < 0 ? Number.MAX_SAFE_INTEGER : value;
}
