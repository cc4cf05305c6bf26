import type { Query } from '#/api/client/api-client.ts';
import { messageOf } from '#/base/errors.ts';
import { type Command, type CommandContext, StatusError } from '../command.ts';
import { followSize } from '../stream/resize.ts';
import { runSession } from '../stream/session.ts';
import { proxySignals } from '../stream/signals.ts';
import { waitForExit } from './wait-exit.ts';

interface Inspected {
  Id: string;
  Config: { Tty: boolean; OpenStdin: boolean };
  HostConfig: { AutoRemove: boolean };
}

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: `
  -a, --attach  Attach STDOUT/STDERR and forward signals
      --checkpoint string  Restore from this checkpoint
      --checkpoint-dir string  Use a custom checkpoint storage directory
      --detach-keys string  Override the key sequence for detaching a container
  -i, --interactive  Attach container's STDIN
`,
  arguments: { min: 1 },
  async run(context) {
    const { flags, args } = context;
    if (flags.bool('attach') || flags.bool('interactive')) {
      if (args.length > 1) throw new Error('you cannot start and attach multiple containers at once');
      return startAttached(context);
    }
    if (flags.string('checkpoint') === '') return startAll(context);
    if (args.length > 1) throw new Error('you cannot restore multiple containers at once');
    await context.client.text('POST', `/containers/${args[0]}/start`, { query: startQuery(context) });
    return 0;
  },
};

function startQuery({ flags }: CommandContext): Query {
  return {
    checkpoint: flags.string('checkpoint') || undefined,
    'checkpoint-dir': flags.string('checkpoint-dir') || undefined,
  };
}

async function startAll({ args, client, terminal }: CommandContext): Promise<void> {
  const failed: string[] = [];
  for (const name of args) {
    try {
      await client.text('POST', `/containers/${name}/start`);
      terminal.out(`${name}\n`);
    } catch (error) {
      terminal.err(`${messageOf(error)}\n`);
      failed.push(name);
    }
  }
  if (failed.length > 0) throw new StatusError(`Error: failed to start containers: ${failed.join(', ')}`, 1);
}

async function startAttached(context: CommandContext): Promise<number> {
  const { flags, args, client, terminal, config } = context;
  const [name = ''] = args;
  const { Id, Config, HostConfig } = await client.json<Inspected>('GET', `/containers/${name}/json`);
  const detachKeys = flags.string('detach-keys') || config.detachKeys || '';
  const stdin = flags.bool('interactive') && Config.OpenStdin;
  const stopProxy = Config.Tty ? undefined : proxySignals(client, Id, () => process.exit(1));
  const stream = await client.hijack('POST', `/containers/${Id}/attach`, {
    query: {
      detachKeys: detachKeys || undefined,
      stderr: true,
      stdin: stdin || undefined,
      stdout: true,
      stream: true,
    },
  });
  const session = runSession(stream, { terminal, tty: Config.Tty, stdin, detachKeys });
  session.catch(() => undefined);
  const condition = HostConfig.AutoRemove ? 'removed' : 'next-exit';
  const { exit } = await waitForExit(client, Id, condition, (text) => terminal.err(text));
  exit.catch(() => undefined);
  try {
    await client.text('POST', `/containers/${Id}/start`, { query: startQuery(context) });
  } catch (error) {
    stream.socket.destroy();
    await session.catch(() => undefined);
    if (HostConfig.AutoRemove) await exit.catch(() => undefined);
    throw error;
  }
  const stopResize =
    Config.Tty && terminal.isTerminal(1) ? followSize(client, `/containers/${Id}`, terminal) : undefined;
  const ended = await session;
  stopResize?.();
  stopProxy?.();
  return ended === 'detached' ? 0 : exit;
}
