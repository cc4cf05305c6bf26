import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { messageOf } from '#/base/errors.ts';
import type { Command } from '../command.ts';
import { showProgress } from '../format/progress.ts';
import { platformQuery } from './platform-query.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
  -i, --input string  Read from tar archive file, instead of STDIN
      --platform string  Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")
  -q, --quiet  Suppress the load output
`,
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal }) {
    const input = flags.string('input');
    let upload: AsyncIterable<Uint8Array>;
    if (input !== '') {
      await stat(input).catch((error: unknown) => {
        throw new Error(goMessage('open', input, error), { cause: error });
      });
      upload = createReadStream(input, { highWaterMark: 1 << 20 });
    } else {
      if (terminal.isTerminal(0)) {
        throw new Error('requested load from stdin, but stdin is empty');
      }
      upload = terminal.stdin();
    }
    const quiet = flags.bool('quiet') || !terminal.isTerminal(1);
    const response = await client.request('POST', '/images/load', {
      query: { platform: platformQuery(flags.string('platform')), quiet: quiet ? 1 : 0 },
      headers: { 'Content-Type': 'application/x-tar' },
      upload,
    });
    if (response.headers.get('content-type')?.startsWith('application/json')) {
      await showProgress(response.body, (text) => terminal.out(text), terminal.isTerminal(1));
      return;
    }
    for await (const chunk of response.body) terminal.out(chunk);
  },
};

/** A file's error in Go's words. */
export function goMessage(action: string, file: string, error: unknown): string {
  const message = messageOf(error);
  if (message.startsWith('ENOENT')) return `${action} ${file}: no such file or directory`;
  if (message.startsWith('EACCES')) return `${action} ${file}: permission denied`;
  return message;
}
