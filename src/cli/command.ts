import type { ApiClient } from '#/api/client/api-client.ts';
import type { ClientConfig } from './config/client-config.ts';
import type { FlagSet, ValueCheck } from './flags/flag-set.ts';
import type { Terminal } from './terminal.ts';

/** How many arguments a command takes: at least `min`, at most `max` (absent: any number). */
export interface ArgumentCount {
  min: number;
  max?: number;
}

export interface CommandContext {
  flags: FlagSet;
  args: string[];
  /** The command as it was typed, without the program's name: `container rm` or `rm`. */
  path: string;
  terminal: Terminal;
  client: ApiClient;
  env: Record<string, string | undefined>;
  config: ClientConfig;
  /** The name of the context that `client` was chosen by. */
  context: string;
  /** Whether `-D` was given. */
  debug: boolean;
}

/** One verb. Its module is loaded only when it is the one that runs, or that help is asked for. */
export interface Command {
  /** The usage line behind the program and the command's path: `[OPTIONS] CONTAINER [CONTAINER...]`. */
  usage: string;
  /** Help's long text, where it says more than the short one of the table. */
  long?: string;
  /** Flag declarations: see `flags/flag-spec.ts`. */
  flags?: string;
  hiddenFlags?: string;
  checks?: Record<string, ValueCheck>;
  arguments: ArgumentCount;
  /** False: flags end at the first argument. Default true. */
  interspersed?: boolean;
  /** It asks no daemon, and so runs where none can be made out. */
  offline?: boolean;
  /** Resolves with the exit code; nothing means 0. */
  run(context: CommandContext): Promise<number | void>;
}

/** Ends the command with an exit code of its own. An empty message prints nothing. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
