import { messageOf } from '#/base/errors.ts';
import { StatusError } from './command.ts';
import type { Terminal } from './terminal.ts';

/** How many requests of one command line are under way together. */
const AT_ONCE = 50;

/**
 * Does something to each argument, several at once, and prints each result, if it has one, in the arguments' order. Failures are told
 * after the last, all of them, with exit code 1.
 */
export async function eachArgument(
  terminal: Terminal,
  args: readonly string[],
  act: (argument: string) => Promise<string | undefined>,
): Promise<void> {
  const failures: string[] = [];
  for (let at = 0; at < args.length; at += AT_ONCE) {
    const results = args.slice(at, at + AT_ONCE).map(act);
    for (const settled of await Promise.allSettled(results)) {
      if (settled.status === 'fulfilled') {
        if (settled.value !== undefined) terminal.out(`${settled.value}\n`);
      } else failures.push(messageOf(settled.reason));
    }
  }
  if (failures.length > 0) throw new StatusError(failures.join('\n'), 1);
}
