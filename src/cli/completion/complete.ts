import type { FlagSet } from '../flags/flag-set.ts';
import { type FlagSpec, parseFlagSpecs } from '../flags/flag-spec.ts';
import { ApiClient } from '#/api/client/api-client.ts';
import { COMMANDS, type CommandEntry, GROUPS } from '../command-table.ts';
import { configDirectory, readClientConfig } from '../config/client-config.ts';
import { chooseEndpoint } from '../config/endpoint-choice.ts';
import { flagSpecs, GLOBAL_FLAGS } from '../help.ts';
import { argumentSource } from './arguments.ts';
import { type Candidate, DaemonNames, type Source } from './candidates.ts';
import { flagValues } from './flag-values.ts';
import { type ScannedWords, scanWords } from './scan-words.ts';

type Environment = Record<string, string | undefined>;

/** What the shell does with the answer: cobra's numbers, which completion scripts know. */
const NO_SPACE = 2;
const NO_FILES = 4;

/** How long a daemon may take to say what it has. */
const PATIENCE_MS = 2000;

interface Completion {
  candidates: Candidate[];
  /** Files of the caller's would do too. */
  files: boolean;
}

const NOTHING: Completion = { candidates: [], files: false };

/**
 * Answers a shell: the words of the command line so far, of which the last is being typed (it may be empty). A candidate a line, with what is said
 * of it behind a tab, then a line with a colon and what to do with them.
 */
export async function completionAnswer(words: readonly string[], env: Environment): Promise<string> {
  const current = words.at(-1) ?? '';
  const { candidates, files } = await complete(words.slice(0, -1), current, env).catch(() => NOTHING);
  const seen = new Set<string>();
  const fitting = candidates.filter(({ value }) => {
    if (!value.startsWith(current) || seen.has(value)) return false;
    seen.add(value);
    return true;
  });
  // What ends so wants more.
  const open = fitting.length > 0 && fitting.every(({ value }) => /[=:,]$/.test(value));
  const directive = (open ? NO_SPACE : 0) | (files ? 0 : NO_FILES);
  const lines = fitting.map(({ value, about }) => (about === undefined ? value : `${value}\t${about}`));
  return `${[...lines, `:${directive}`].join('\n')}\n`;
}

async function complete(before: readonly string[], current: string, env: Environment): Promise<Completion> {
  const specs = [
    ...parseFlagSpecs(GLOBAL_FLAGS),
    { name: 'help', shorthand: 'h', type: 'bool', usage: 'Print usage', hidden: false },
  ];
  const global = scanWords(specs, before, false);
  const source = (wanted: Source | undefined, scanned: ScannedWords): Promise<Completion> =>
    fromSource(wanted, scanned, global.values, env);
  const globalFlag = await flagCompletion('', specs, global, current, source);
  if (globalFlag) return globalFlag;
  const [first = '', second] = global.args;
  if (global.args.length === 0) return { candidates: topCommands(), files: false };
  const whole = lookup(first);
  if (!whole && Object.hasOwn(GROUPS, first) && second === undefined) {
    return { candidates: verbsOf(first), files: false };
  }
  const entry = whole ?? lookup(`${first} ${second ?? ''}`);
  if (first === 'help') return { candidates: topCommands(), files: false };
  if (!entry) return NOTHING;
  const command = await entry.load();
  const scanned = scanWords(
    flagSpecs(command),
    global.args.slice(whole ? 1 : 2),
    command.interspersed ?? true,
  );
  const flag = await flagCompletion(entry.path, flagSpecs(command), scanned, current, source);
  if (flag) return flag;
  const found = await source(argumentSource(entry.path, scanned.args.length, command.arguments.max), scanned);
  return { ...found, candidates: found.candidates.filter(({ value }) => !scanned.args.includes(value)) };
}

/** Completes a flag's name or value, when that is what is being typed. */
async function flagCompletion(
  path: string,
  specs: readonly FlagSpec[],
  scanned: ScannedWords,
  current: string,
  source: (wanted: Source | undefined, scanned: ScannedWords) => Promise<Completion>,
): Promise<Completion | undefined> {
  if (scanned.pending) return source(flagValues(path, scanned.pending.name), scanned);
  if (scanned.flagsOver || !current.startsWith('-')) return undefined;
  const equals = /^--([\w-]+)=/.exec(current);
  if (equals) {
    const [prefix, name = ''] = equals;
    const spec = specs.find((each) => each.name === name);
    if (!spec) return NOTHING;
    const values = await source(spec.type === 'bool' ? ['true', 'false'] : flagValues(path, name), scanned);
    return {
      candidates: values.candidates.map((each) => ({ ...each, value: `${prefix}${each.value}` })),
      files: values.files,
    };
  }
  const visible = specs.filter(({ hidden }) => !hidden);
  return {
    candidates: visible.map(({ name, usage }) => ({ value: `--${name}`, about: usage.split('\n')[0] ?? '' })),
    files: false,
  };
}

function lookup(path: string): CommandEntry | undefined {
  return COMMANDS.find((entry) => entry.path === path || entry.aliases.includes(path));
}

function topCommands(): Candidate[] {
  const verbs = COMMANDS.flatMap(({ path, aliases, short }) =>
    [path, ...aliases].filter((name) => !name.includes(' ')).map((value) => ({ value, about: short })),
  );
  const groups = Object.entries(GROUPS).map(([value, about]) => ({ value, about }));
  const help = { value: 'help', about: 'Help about any command' };
  return [...verbs, ...groups, help].sort((a, b) => (a.value < b.value ? -1 : 1));
}

function verbsOf(group: string): Candidate[] {
  return COMMANDS.filter(({ path }) => path.startsWith(`${group} `)).map(({ path, short }) => ({
    value: path.slice(group.length + 1),
    about: short,
  }));
}

async function fromSource(
  source: Source | undefined,
  scanned: ScannedWords,
  global: ReadonlyMap<string, string>,
  env: Environment,
): Promise<Completion> {
  if (source === undefined) return NOTHING;
  if (source === 'files') return { candidates: [], files: true };
  if (typeof source !== 'string') return { candidates: source.map((value) => ({ value })), files: false };
  if (source === 'variables') {
    return { candidates: Object.keys(env).map((value) => ({ value })), files: false };
  }
  const settings = { ...env, ...(global.has('config') && { DOCKER_CONFIG: global.get('config') }) };
  if (source === 'contexts') {
    const { listContexts } = await import('../config/contexts.ts');
    const names = ['default', ...listContexts(configDirectory(settings)).map(({ name }) => name)];
    return { candidates: names.map((value) => ({ value })), files: false };
  }
  // Nobody starts a daemon by pressing a key.
  const config = readClientConfig(configDirectory(settings), () => undefined);
  const flags = await globalFlags(global);
  const { endpoint } = await chooseEndpoint(flags, settings, config, undefined);
  const client = new ApiClient(endpoint, { version: env['HULL_API_VERSION'] || env['DOCKER_API_VERSION'] });
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('the daemon does not answer')), PATIENCE_MS);
  try {
    const names = askDaemon(source, new DaemonNames(client), scanned);
    return { candidates: await Promise.race([names, late]), files: source === 'copies' };
  } finally {
    clearTimeout(timer);
    client.close();
  }
}

/** The flags that say which daemon is meant. */
async function globalFlags(values: ReadonlyMap<string, string>): Promise<FlagSet> {
  const { FlagSet } = await import('../flags/flag-set.ts');
  const flags = new FlagSet(parseFlagSpecs(GLOBAL_FLAGS));
  for (const [name, value] of values) flags.set(name, value);
  return flags;
}

async function askDaemon(
  source: Exclude<Source, readonly string[]>,
  names: DaemonNames,
  scanned: ScannedWords,
): Promise<Candidate[]> {
  switch (source) {
    case 'containers':
      return names.containers();
    case 'running':
      return names.containers(({ State }) => ['running', 'paused', 'restarting'].includes(State));
    case 'stopped':
      return names.containers(({ State }) => !['running', 'paused'].includes(State));
    case 'paused':
      return names.containers(({ State }) => State === 'paused');
    case 'unpaused':
      return names.containers(({ State }) => State === 'running');
    case 'copies':
      return (await names.containers()).map((each) => ({ ...each, value: `${each.value}:` }));
    case 'images':
      return names.images();
    case 'networks':
      return names.networks();
    case 'volumes':
      return names.volumes();
    case 'log drivers':
      return names.logDrivers();
    case 'runtimes':
      return names.runtimes();
    case 'checkpoints':
      return names.checkpoints(scanned.args[0] ?? '');
    case 'objects':
      return (
        await Promise.all([names.containers(), names.images(), names.networks(), names.volumes()])
      ).flat();
    default:
      return [];
  }
}
