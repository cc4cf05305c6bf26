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
      --detach-keys string  Override the key sequence for detaching a container
  -i, --interactive  Attach container's STDIN
`,
  hiddenFlags: `
      --checkpoint string
      --checkpoint-dir string
`,
  arguments: { min: 1 },
  async run(context) {
    const { flags, args } = context;
    if (!flags.bool('attach') && !flags.bool('interactive')) return startAll(context);
    if (args.length > 1) throw new Error('you cannot start and attach multiple containers at once');
    return startAttached(context);
  },
};

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

async function startAttached({ flags, args, client, terminal }: CommandContext): Promise<number> {
  const [name = ''] = args;
  const { Id, Config, HostConfig } = await client.json<Inspected>('GET', `/containers/${name}/json`);
  const detachKeys = flags.string('detach-keys');
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
    await client.text('POST', `/containers/${Id}/start`);
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
