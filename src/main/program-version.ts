import { run } from '#/host/process.ts';

/** What a program of ours says of itself. */
export interface ProgramVersion {
  version: string;
  commit: string;
}

const DEADLINE_MS = 5_000;

/** Asks a program with `--version`; undefined when it is not there or says nothing that one understands. */
export async function askVersion(program: string): Promise<ProgramVersion | undefined> {
  try {
    const { code, stdout } = await run(program, ['--version'], { timeoutMs: DEADLINE_MS });
    return code === 0 ? parseVersion(stdout.toString('utf8')) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Of `runc version 1.1.5`, `commit: …` as runc and crun write it, or `tini version 0.19.0 - git.de40ad0` in one line
 * (moby's daemon/info_unix.go, parseRuntimeVersion and parseInitVersion).
 */
export function parseVersion(text: string): ProgramVersion | undefined {
  const version = /^[\w.-]+ version (\S+)/m.exec(text)?.[1];
  const commit = /^commit: (\S+)/m.exec(text)?.[1] ?? / - git\.(\w+)/.exec(text)?.[1];
  if (version === undefined && commit === undefined) return undefined;
  return { version: version ?? '', commit: commit ?? '' };
}
