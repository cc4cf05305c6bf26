import type { Command } from '../command.ts';
import { showProgress } from '../format/progress.ts';
import { parseImageName } from './image-name.ts';
import { registryAuth } from './registry-auth.ts';

export const command: Command = {
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  flags: `
  -a, --all-tags  Download all tagged images in the repository
      --disable-content-trust  Skip image verification (default true)
      --platform string  Set platform if server is multi-platform capable
  -q, --quiet  Suppress verbose output
`,
  arguments: { min: 1, max: 1 },
  async run({ flags, args, client, terminal, config }) {
    const [given = ''] = args;
    const name = parseImageName(given);
    if (!flags.bool('disable-content-trust', true)) {
      throw new Error('--disable-content-trust=false: hull verifies no signatures');
    }
    const all = flags.bool('all-tags');
    const quiet = flags.bool('quiet');
    const named = /[:@][^/]*$/.test(given);
    if (all && named) throw new Error("tag can't be used with --all-tags/-a");
    if (!all && !named && !quiet) terminal.out('Using default tag: latest\n');
    const { body } = await client.request('POST', '/images/create', {
      query: {
        fromImage: name.repository,
        platform: flags.string('platform') || undefined,
        tag: all ? undefined : (name.digest ?? name.tag),
      },
      headers: registryAuth(config, name.registry),
    });
    await showProgress(
      body,
      quiet ? () => undefined : (text) => terminal.out(text),
      !quiet && terminal.isTerminal(1),
    );
    const version = name.digest === undefined ? `:${name.tag ?? 'latest'}` : `@${name.digest}`;
    terminal.out(`${name.repository}${all ? '' : version}\n`);
  },
};
