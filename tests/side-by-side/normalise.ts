/**
 * Takes out of an output what two engines cannot have in common: random ids, addresses, ports, times, directories, the width of
 * columns those were in. Ids that stand for content (images, layers) are the same everywhere and stay.
 */
export interface Particulars {
  /** Directories and numbers of this run, each with the word that stands for it. */
  words: Record<string, string>;
  /** Hex digests that are content and must be equal. */
  contentIds: ReadonlySet<string>;
}

const RULES: [RegExp, string][] = [
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d{4}( [A-Z]+)?|Z)?/g, '<time>'],
  [/\b(About |Less than )?(an?|\d+) (second|minute|hour|day|week|month|year)s?( ago)?/g, '<duration>$4'],
  [/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, '<mac>'],
  [/\b10\.\d+\.\d+\.\d+(\/\d+)?\b/g, '<address>'],
  // Before the ports, for which a process id behind its colon could be taken.
  [/"Pid":\d+/g, '"Pid":"<pid>"'],
  [/:(3[2-9]|[4-5]\d|6[0-5])\d{3}\b/g, ':<port>'],
  // What failed is told by the end of the chain; how it got there is the runtime's (runc under containerd, or crun).
  [
    /(failed to create (task for container|shim task)|OCI runtime (create|start|exec) failed|crun:).*?(exec:? |stat |chdir )/g,
    '<runtime>: $4',
  ],
  [/ {2,}/g, '  '],
  [/[ \t]+$/gm, ''],
];

/** Docker 25 began its messages in lower case; the words are the same. */
const LOWER_CASED =
  /(?<=daemon: |container: \S+: )(Container|Cannot|Couldn't|Invalid|Range|No command|You)\b/g;

export function normalise(text: string, { words, contentIds }: Particulars): string {
  let result = text;
  for (const [from, to] of Object.entries(words)) result = result.replaceAll(from, to);
  result = result.replaceAll(/\b(sha256:)?[0-9a-f]{64}\b/g, (id) =>
    contentIds.has(id.replace('sha256:', '')) ? id : '<id>',
  );
  result = result.replaceAll(/\b[0-9a-f]{12}\b/g, (id) =>
    [...contentIds].some((known) => known.startsWith(id)) ? id : '<id>',
  );
  for (const [pattern, replacement] of RULES) result = result.replaceAll(pattern, replacement);
  return result
    .replaceAll(LOWER_CASED, (word) => word.toLowerCase())
    .split('\n')
    .map((line) => (/^\{.*\}$/.test(line) ? sortedKeys(line) : line))
    .join('\n');
}

/** A document's fields in one order: Go writes them in its structures', maps in the alphabet's. */
function sortedKeys(line: string): string {
  const sort = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sort);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, each]): [string, unknown] => [key, sort(each)]);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  try {
    return JSON.stringify(sort(JSON.parse(line)));
  } catch {
    return line;
  }
}
