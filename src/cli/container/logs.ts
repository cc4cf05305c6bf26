import { demultiplex } from '#/api/client/multiplexed-stream.ts';
import type { Command } from '../command.ts';
import { timeFlag } from '../format/time-flag.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER',
  flags: `
      --details  Show extra details provided to logs
  -f, --follow  Follow log output
      --since string  Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
  -n, --tail string  Number of lines to show from the end of the logs (default "all")
  -t, --timestamps  Show timestamps
      --until string  Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
`,
  arguments: { min: 1, max: 1 },
  async run({ flags, args, client, terminal }) {
    const [name = ''] = args;
    const inspected = await client.json<{ Id: string; Config: { Tty: boolean } }>(
      'GET',
      `/containers/${name}/json`,
    );
    const since = timeFlag(flags, 'since');
    const until = timeFlag(flags, 'until');
    const { body } = await client.request('GET', `/containers/${inspected.Id}/logs`, {
      query: {
        details: flags.bool('details') || undefined,
        follow: flags.bool('follow') || undefined,
        since,
        stderr: true,
        stdout: true,
        tail: flags.string('tail', 'all'),
        timestamps: flags.bool('timestamps') || undefined,
        until,
      },
    });
    if (inspected.Config.Tty) {
      for await (const chunk of body) terminal.out(chunk);
      return;
    }
    await demultiplex(body, (stream, data) => {
      if (stream === 'stderr') terminal.err(data);
      else terminal.out(data);
    });
  },
};
