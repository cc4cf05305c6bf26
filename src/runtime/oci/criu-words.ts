/**
 * Why CRIU failed, from its log: the first error that is its own and no mere consequence. Its last lines only say that all of it
 * failed, and a refused rise of its own limits, which it survives, comes before all others.
 */
export function criuWords(log: string): string | undefined {
  const errors = log
    .split('\n')
    .map((line) => /^\([\d.]+\)\s+(?:\d+: )?Error \(([^)]*)\): (.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, place = '', words = '']) => `${words.trim()} (${place})`);
  return errors.find((words) => !words.includes('RLIMIT_NOFILE for self'));
}
