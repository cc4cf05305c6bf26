import type { Command } from '../command.ts';
import { showProgress } from '../format/progress.ts';

export const command: Command = {
  usage: '[OPTIONS] NAME[:TAG]',
  long: `Make a base image from a distribution's own signed packages, without a registry

NAME is what the image will be called: debian:bookworm, busybox`,
  flags: `
      --mirror string  Where packages are taken from (default: the distribution's own mirror)
  -q, --quiet  Suppress progress output
`,
  arguments: { min: 1, max: 1 },
  async run({ flags, args, client, terminal }) {
    const [name = ''] = args;
    const { body } = await client.request('POST', '/hull/images/bootstrap', {
      query: { reference: name, mirror: flags.string('mirror') || undefined },
      unversioned: true,
    });
    const quiet = flags.bool('quiet');
    await showProgress(
      body,
      quiet ? () => undefined : (text) => terminal.out(text),
      !quiet && terminal.isTerminal(1),
    );
  },
};
