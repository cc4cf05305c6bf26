import { ApiClient } from '#/api/client/api-client.ts';
import { messageOf } from '#/base/errors.ts';
import { type ArgumentCount, type Command, StatusError } from './command.ts';
import { COMMANDS, type CommandEntry, GROUPS } from './command-table.ts';
import { configDirectory, readClientConfig } from './config/client-config.ts';
import { chooseEndpoint, unreachable } from './config/endpoint-choice.ts';
import { FlagError, FlagSet } from './flags/flag-set.ts';
import { parseFlagSpecs } from './flags/flag-spec.ts';
import type { Terminal } from './terminal.ts';

export interface ProgramOptions {
  version: string;
  env?: Record<string, string | undefined>;
  terminal: Terminal;
  /** Starts a daemon behind the default socket and resolves when it answers. Absent: none is started. */
  startDaemon?: (socketPath: string) => Promise<void>;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'panic'];

/** Runs one command line (without the program's name) and resolves with its exit code. */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<number> {
  const { terminal } = options;
  try {
    return await dispatch(argv, terminal, options);
  } catch (error) {
    const text = messageOf(error);
    if (text !== '') terminal.err(`${text}\n`);
    return error instanceof StatusError ? error.exitCode : 1;
  }
}

async function dispatch(
  argv: readonly string[],
  terminal: Terminal,
  options: ProgramOptions,
): Promise<number> {
  let env = options.env ?? process.env;
  // The commonest command lines have no global flags: those are read only when there are any.
  const plain = argv[0] !== undefined && !argv[0].startsWith('-');
  const global = plain ? undefined : await globalFlags(argv);
  // Where settings and contexts are looked for.
  if (global?.changed('config')) env = { ...env, DOCKER_CONFIG: global.string('config') };
  const words = global?.args ?? argv;
  const level = global?.string('log-level') || 'info';
  if (!LOG_LEVELS.includes(level.toLowerCase())) throw new Error(`Unable to parse logging level: ${level}`);
  if (global?.bool('version')) {
    terminal.out(`Hull version ${options.version}\n`);
    return 0;
  }
  if (words.length === 0 || global?.bool('help') || (words.length === 1 && words[0] === 'help')) {
    const { topHelp } = await import('./help.ts');
    terminal.out(topHelp(terminal.size()?.columns));
    return 0;
  }
  if (words[0] === '__complete') {
    const { completionAnswer } = await import('./completion/complete.ts');
    terminal.out(await completionAnswer(words.slice(1), env));
    return 0;
  }
  const found = findCommand(words[0] === 'help' ? [...words.slice(1), '--help'] : words);
  const { path, entry, rest } = found ?? (await unknownCommand(words, terminal));
  const command = await entry.load();
  const flags = await commandFlags(path, command, rest);
  if (flags.bool('help')) {
    const { commandHelp } = await import('./help.ts');
    terminal.out(commandHelp(entry, path, command, terminal.size()?.columns));
    return 0;
  }
  await checkArguments(path, command, flags.args.length);
  const config = readClientConfig(configDirectory(env), (text) => terminal.err(text));
  const chosen = await chooseEndpoint(global, env, config, options.startDaemon).catch((error: unknown) => {
    if (!command.offline) throw error;
    return unreachable(global?.string('context') || env['DOCKER_CONTEXT'] || config.currentContext, error);
  });
  const client = new ApiClient(chosen.endpoint, {
    version: (env['HULL_API_VERSION'] || env['DOCKER_API_VERSION']) ?? undefined,
    ...(config.HttpHeaders && { headers: config.HttpHeaders }),
  });
  const debug = global?.bool('debug') ?? false;
  const { context } = chosen;
  try {
    const run = command.run({ flags, args: flags.args, path, terminal, client, env, config, context, debug });
    return (await run) ?? 0;
  } finally {
    client.close();
  }
}

async function globalFlags(argv: readonly string[]): Promise<FlagSet> {
  const { GLOBAL_FLAGS } = await import('./help.ts');
  const flags = new FlagSet([...parseFlagSpecs(GLOBAL_FLAGS), ...parseFlagSpecs('  -h, --help', true)]);
  try {
    flags.parse(argv, false);
  } catch (error) {
    const hint = `Usage:  hull [OPTIONS] COMMAND [ARG...]\n\nRun 'hull --help' for more information`;
    throw new StatusError(`${messageOf(error)}\n\n${hint}`, 125, { cause: error });
  }
  return flags;
}

interface FoundCommand {
  path: string;
  entry: CommandEntry;
  rest: string[];
}

function findCommand(words: readonly string[]): FoundCommand | undefined {
  const lookup = (path: string): CommandEntry | undefined =>
    COMMANDS.find((entry) => entry.path === path || entry.aliases.includes(path));
  const [first = '', second] = words;
  const whole = lookup(first);
  if (whole) return { path: first, entry: whole, rest: words.slice(1) };
  if (second === undefined) return undefined;
  const path = `${first} ${second}`;
  const verb = lookup(path);
  // `container list` goes by the name of what it is another word for; `ps` is a command of its own.
  return (
    verb && { path: verb.path.startsWith(`${first} `) ? verb.path : path, entry: verb, rest: words.slice(2) }
  );
}

/** A noun alone shows its help; anything else is no command. */
async function unknownCommand(words: readonly string[], terminal: Terminal): Promise<never> {
  const topic = words[0] === 'help';
  const [group = '', verb] = topic ? words.slice(1) : words;
  const { ABSENT_VERBS } = await import('./absent-verbs.ts');
  for (const name of [group, `${group} ${verb ?? ''}`]) {
    const reason = Object.hasOwn(ABSENT_VERBS, name) ? ABSENT_VERBS[name] : undefined;
    if (reason !== undefined) throw new StatusError(`hull: 'hull ${name}' is not there: ${reason}`, 1);
  }
  if (group in GROUPS) {
    const help = topic || verb === '--help' || verb === '-h';
    if (help || verb === undefined) {
      const { groupHelp } = await import('./help.ts');
      if (help) terminal.out(groupHelp(group));
      else terminal.err(groupHelp(group));
      throw new StatusError('', 0);
    }
    throw new StatusError(
      `hull: unknown command: hull ${group} ${verb}\n\nUsage:  hull ${group}${group === 'volume' ? ' COMMAND' : ''}\n\nRun 'hull ${group} --help' for more information`,
      1,
    );
  }
  if (topic) throw new StatusError(`unknown help topic: ${group}`, 1);
  throw new StatusError(`hull: unknown command: hull ${group}\n\nRun 'hull --help' for more information`, 1);
}

async function commandFlags(path: string, command: Command, argv: readonly string[]): Promise<FlagSet> {
  const specs = [...parseFlagSpecs(command.flags ?? ''), ...parseFlagSpecs(command.hiddenFlags ?? '', true)];
  const shorthand = specs.some((spec) => spec.shorthand === 'h') ? undefined : 'h';
  specs.push({ name: 'help', shorthand, type: 'bool', usage: 'Print usage', hidden: true });
  const flags = new FlagSet(specs, command.checks);
  try {
    flags.parse(argv, command.interspersed ?? true);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    // A --help before the mistake is still a wish for help; after it, pflag never saw it.
    throw new StatusError(
      `${error.message}\n\n${await usage(path, command)}\n\nRun 'hull ${path} --help' for more information`,
      125,
      { cause: error },
    );
  }
  return flags;
}

async function usage(path: string, command: Command): Promise<string> {
  const { usageLine } = await import('./help.ts');
  return usageLine(path, command);
}

async function checkArguments(path: string, command: Command, given: number): Promise<void> {
  const wrong = argumentError(command.arguments, given);
  if (wrong === undefined) return;
  // "See" after "at least", "Run" elsewhere: docker's own two words.
  const verb = wrong.startsWith('requires at least') ? 'See' : 'Run';
  throw new StatusError(
    `hull: 'hull ${path}' ${wrong}\n\n${await usage(path, command)}\n\n${verb} 'hull ${path} --help' for more information`,
    1,
  );
}

function argumentError({ min, max }: ArgumentCount, given: number): string | undefined {
  const plural = (count: number): string => `${count} argument${count === 1 ? '' : 's'}`;
  if (given >= min && (max === undefined || given <= max)) return undefined;
  if (max === 0) return 'accepts no arguments';
  if (min === max) return `requires ${plural(min)}`;
  if (max === undefined) return `requires at least ${plural(min)}`;
  if (min === 0) return `requires at most ${plural(max)}`;
  return `requires at least ${min} and at most ${plural(max)}`;
}
