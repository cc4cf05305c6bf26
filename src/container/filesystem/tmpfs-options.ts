import { type EngineError, internal } from '#/base/errors.ts';
import type { Mount } from '#/wire/generated.ts';

type TmpfsOptions = NonNullable<Mount['TmpfsOptions']>;

/** What `TmpfsOptions.Options` may hold (moby's volume/mounts/linux_parser.go). */
const STRUCTURED = new Set(['exec', 'noexec']);

/** The structured form's options as mount(8) has them. */
export function tmpfsData(
  { Mode: mode, SizeBytes: size, Options: options = [] }: TmpfsOptions,
  readOnly: boolean,
  fail: (why: string) => EngineError,
): string {
  const words = options.map((option) => {
    const [name = ''] = option;
    if (option.length < 1 || option.length > 2) throw fail('invalid option array length');
    if (!STRUCTURED.has(name)) throw fail(`invalid option: ${name}`);
    return option.join('=');
  });
  return [
    ...(readOnly ? ['ro'] : []),
    ...(mode ? [`mode=${mode.toString(8)}`] : []),
    ...(size ? [`size=${size}`] : []),
    ...words,
  ].join(',');
}

const DEFAULTS = ['noexec', 'nosuid', 'nodev', 'rprivate'];
/** Flags by the bit of mount(2) that they set or clear: of two about the same bit the later one counts. */
const FLAGS = new Map(
  [
    ['ro', 'rw'],
    ['suid', 'nosuid'],
    ['dev', 'nodev'],
    ['exec', 'noexec'],
    ['sync', 'async'],
    ['dirsync'],
    ['remount'],
    ['mand', 'nomand'],
    ['atime', 'noatime'],
    ['diratime', 'nodiratime'],
    ['bind', 'rbind'],
    ['relatime', 'norelatime'],
    ['strictatime', 'nostrictatime'],
    'private rprivate shared rshared slave rslave unbindable runbindable'.split(' '),
  ].flatMap((bit) => bit.map((word) => [word, bit[0] ?? ''])),
);
const VALUES = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

/**
 * The options of a tmpfs for the runtime: Docker's defaults and what was asked for, of each thing the last word. Refuses others than
 * Docker does (moby/sys mount, MergeTmpfsOptions), and in its words.
 */
export function mergeTmpfsOptions(data: string): string[] {
  const merged = new Map<string, string>();
  for (const option of [...DEFAULTS, ...(data === '' ? [] : data.split(','))]) {
    if (option === 'defaults') continue;
    const [name = '', ...rest] = option.split('=');
    const key = FLAGS.get(option) ?? (rest.length > 0 && VALUES.has(name) ? name : undefined);
    if (key === undefined) {
      const words = rest.length === 0 ? [name] : [name, rest.join('=')];
      throw internal(`invalid tmpfs option [${words.map((word) => JSON.stringify(word)).join(' ')}]`);
    }
    merged.delete(key);
    merged.set(key, option);
  }
  return [...merged.values()];
}
