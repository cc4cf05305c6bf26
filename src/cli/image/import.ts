import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Command } from '../command.ts';
import { showProgress } from '../format/progress.ts';
import { goMessage } from './load.ts';

export const command: Command = {
  usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  flags: `
  -c, --change list  Apply Dockerfile instruction to the created image
  -m, --message string  Set commit message for imported image
      --platform string  Set platform if server is multi-platform capable
`,
  arguments: { min: 1, max: 2 },
  async run({ flags, args, client, terminal }) {
    const [source = '', repository = ''] = args;
    const url = /^https?:\/\//.test(source);
    if (!url && source !== '-') {
      await stat(source).catch((error: unknown) => {
        throw new Error(goMessage('open', source, error), { cause: error });
      });
    }
    const upload = url
      ? undefined
      : source === '-'
        ? terminal.stdin()
        : createReadStream(source, { highWaterMark: 1 << 20 });
    const { body } = await client.request('POST', '/images/create', {
      query: {
        changes: flags.list('change'),
        fromSrc: url ? source : '-',
        message: flags.string('message') || undefined,
        platform: flags.string('platform') || undefined,
        repo: repository || undefined,
      },
      ...(upload && { upload }),
    });
    await showProgress(body, (text) => terminal.out(text), terminal.isTerminal(1));
  },
};
