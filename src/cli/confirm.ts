import { StatusError } from './command.ts';
import type { Terminal } from './terminal.ts';

/** Asks before something is lost. Anything but `y` is a no, which ends the command without a word and with code 0. */
export async function confirm(terminal: Terminal, question: string): Promise<void> {
  terminal.out(`${question} [y/N] `);
  const input = terminal.stdin();
  let answer = '';
  for await (const chunk of input) {
    answer += String(chunk);
    if (answer.includes('\n')) break;
  }
  if (/^y(?:es)?$/i.test(answer.split('\n')[0]?.trim() ?? '')) return;
  throw new StatusError('', 0);
}
