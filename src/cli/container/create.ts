import type { Command } from '../command.ts';
import { CREATE_CHECKS } from './create-checks.ts';
import { createContainer } from './create-container.ts';
import { CREATE_FLAGS, HIDDEN_CREATE_FLAGS } from './create-flags.ts';
import { parsedBody } from './run.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: `${CREATE_FLAGS}
      --pull string  Pull image before creating ("always", "|missing", "never") (default "missing")
`,
  hiddenFlags: HIDDEN_CREATE_FLAGS,
  checks: CREATE_CHECKS,
  arguments: { min: 1 },
  interspersed: false,
  async run(context) {
    const body = parsedBody(context, 'create');
    context.terminal.out(`${await createContainer(context, body)}\n`);
  },
};
