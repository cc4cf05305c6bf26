import type { Command } from './command.ts';
import { COMMANDS, type CommandEntry, GROUPS } from './command-table.ts';
import { type FlagSpec, parseFlagSpecs } from './flags/flag-spec.ts';
import { flagUsages } from './flags/usage.ts';

/** What a command without a terminal is wrapped to. */
const DEFAULT_WIDTH = 80;

const HELP_FLAG: FlagSpec = { name: 'help', type: 'bool', usage: 'Print usage', hidden: true };

export const GLOBAL_FLAGS = `
      --config string  Location of client config files (default "~/.docker")
  -c, --context string  Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and default context set with "docker context use")
  -D, --debug  Enable debug mode
  -H, --host list  Daemon socket to connect to
  -l, --log-level string  Set the logging level ("debug", "info", "warn", "error", "fatal") (default "info")
      --tls  Use TLS; implied by --tlsverify
      --tlscacert string  Trust certs signed only by this CA (default "~/.docker/ca.pem")
      --tlscert string  Path to TLS certificate file (default "~/.docker/cert.pem")
      --tlskey string  Path to TLS key file (default "~/.docker/key.pem")
      --tlsverify  Use TLS and verify the remote
  -v, --version  Print version information and quit
`;

/** The verbs that top the list: what most people came for. */
const COMMON = ['run', 'exec', 'ps', 'pull', 'push', 'images', 'version', 'info'];

/** All flags of a command, `--help` among them. `-h` is a shorthand for it only where nothing else is. */
export function flagSpecs(command: Command): FlagSpec[] {
  const specs = [...parseFlagSpecs(command.flags ?? ''), ...parseFlagSpecs(command.hiddenFlags ?? '', true)];
  const help = specs.some((spec) => spec.shorthand === 'h');
  // Where -h means something else, --help is listed: that is how docker's clients do it.
  return [...specs, help ? { ...HELP_FLAG, hidden: false } : { ...HELP_FLAG, shorthand: 'h' }];
}

export function usageLine(path: string, command: Command): string {
  const lines = command.usage.split('\n').map((usage) => `hull ${path}${usage === '' ? '' : ` ${usage}`}`);
  return `Usage:  ${lines.join('\n\t')}`;
}

export function commandHelp(
  entry: CommandEntry,
  path: string,
  command: Command,
  width = DEFAULT_WIDTH,
): string {
  const names = [entry.path, ...entry.aliases];
  let text = `${usageLine(path, command)}\n\n${command.long ?? entry.short}\n`;
  if (names.length > 1) text += `\nAliases:\n  ${names.map((name) => `hull ${name}`).join(', ')}\n`;
  const options = flagUsages(flagSpecs(command), width - 1);
  if (options !== '') text += `\nOptions:\n${options}`;
  return text;
}

export function groupHelp(group: string): string {
  const verbs = COMMANDS.filter((entry) => entry.path.startsWith(`${group} `)).map(
    (entry) => [entry.path.slice(group.length + 1), entry.short] as const,
  );
  return `Usage:  hull ${group} COMMAND

${GROUPS[group] ?? ''}

Commands:
${listing(verbs)}
Run 'hull ${group} COMMAND --help' for more information on a command.
`;
}

export function topHelp(width = DEFAULT_WIDTH): string {
  const top = new Map<string, string>();
  for (const entry of COMMANDS) {
    for (const name of [entry.path, ...entry.aliases]) {
      if (!name.includes(' ')) top.set(name, entry.short);
    }
  }
  const common = COMMON.filter((name) => top.has(name)).map((name) => [name, top.get(name) ?? ''] as const);
  const others = [...top].filter(([name]) => !COMMON.includes(name));
  return `Usage:  hull [OPTIONS] COMMAND

One image, one API, two walls: a container engine

Common Commands:
${listing(common)}
Management Commands:
${listing(Object.entries(GROUPS))}
Commands:
${listing(others.sort(([a], [b]) => (a < b ? -1 : 1)))}
Global Options:
${flagUsages(parseFlagSpecs(GLOBAL_FLAGS), width - 1)}
Run 'hull COMMAND --help' for more information on a command.
`;
}

function listing(commands: readonly (readonly [string, string])[]): string {
  const width = Math.max(11, ...commands.map(([name]) => name.length));
  return commands.map(([name, short]) => `  ${name.padEnd(width)} ${short}\n`).join('');
}
