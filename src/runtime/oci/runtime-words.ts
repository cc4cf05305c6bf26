/**
 * The error in what an OCI runtime logged (`--log-format json`): its last message of level `error`, without the prefixes that
 * only tell which runtime it was. Text that is no such log is returned as it is.
 */
export function runtimeWords(log: string): string {
  let words: string | undefined;
  for (const line of log.split('\n')) {
    const entry = parseEntry(line);
    if (entry !== undefined) words = entry;
  }
  return (words ?? log).trim();
}

function parseEntry(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    // crun leaves the level out in some versions.
    return typeof msg === 'string' && (level === undefined || level === 'error') ? msg : undefined;
  } catch {
    return undefined;
  }
}
