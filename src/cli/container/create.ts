import { type Command, StatusError } from '../command.ts';
import { createBody } from './create-body.ts';
import { CREATE_CHECKS } from './create-checks.ts';
import { createContainer } from './create-container.ts';
import { CREATE_FLAGS, HIDDEN_CREATE_FLAGS } from './create-flags.ts';
import { withHelp } from './run.ts';

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
    try {
      const body = createBody(context.flags, context.args, { env: context.env, cwd: process.cwd() });
      const id = await createContainer(context, body);
      context.terminal.out(`${id}\n`);
    } catch (error) {
      throw new StatusError(withHelp(error, 'create'), 125, { cause: error });
    }
  },
};
