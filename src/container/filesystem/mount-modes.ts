/** Words of `-v SOURCE:TARGET:MODE`, by what each is about: one of a kind at most (moby's volume/mounts/linux_parser.go). */
const ACCESS = new Set(['ro', 'rw']);
const LABELS = new Set(['z', 'Z']);
const COPY = new Set(['nocopy']);
const CONSISTENCY = new Set(['consistent', 'cached', 'delegated']);
const PROPAGATION = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);
const KINDS = [ACCESS, LABELS, COPY, CONSISTENCY, PROPAGATION];

export interface MountMode {
  readWrite: boolean;
  noCopy: boolean;
  propagation: string | undefined;
}

/** Undefined for what is no mode. */
export function parseMountMode(text: string): MountMode | undefined {
  const words = text === '' ? [] : text.split(',');
  if (!words.every((word) => KINDS.some((kind) => kind.has(word)))) return undefined;
  if (KINDS.some((kind) => words.filter((word) => kind.has(word)).length > 1)) return undefined;
  return {
    readWrite: !words.includes('ro'),
    noCopy: words.includes('nocopy'),
    propagation: words.find((word) => PROPAGATION.has(word)),
  };
}

export function isPropagation(word: string): boolean {
  return PROPAGATION.has(word);
}
