import { type Command, StatusError } from '../command.ts';
import { followSize } from '../stream/resize.ts';
import { runSession } from '../stream/session.ts';
import { proxySignals } from '../stream/signals.ts';
import { waitForExit } from './wait-exit.ts';

interface Inspected {
  Id: string;
  Config: { Tty: boolean; OpenStdin: boolean };
  State: { Running: boolean; Paused: boolean; Restarting: boolean };
}

export const command: Command = {
  usage: '[OPTIONS] CONTAINER',
  flags: `
      --detach-keys string  Override the key sequence for detaching a container
      --no-stdin  Do not attach STDIN
      --sig-proxy  Proxy all received signals to the process (default true)
`,
  arguments: { min: 1, max: 1 },
  async run({ flags, args, client, terminal, config }) {
    const [name = ''] = args;
    const { Id, Config, State } = await client.json<Inspected>('GET', `/containers/${name}/json`);
    if (!State.Running) throw new Error('You cannot attach to a stopped container, start it first');
    if (State.Paused) throw new Error('You cannot attach to a paused container, unpause it first');
    if (State.Restarting)
      throw new Error('You cannot attach to a restarting container, wait until it is running');
    const stdin = !flags.bool('no-stdin') && Config.OpenStdin;
    if (stdin && Config.Tty && !terminal.isTerminal(0))
      throw new StatusError('the input device is not a TTY', 1);
    const detachKeys = flags.string('detach-keys') || config.detachKeys || '';
    const { exit } = await waitForExit(client, Id, 'not-running', (text) => terminal.err(text));
    exit.catch(() => undefined);
    const stopProxy =
      flags.bool('sig-proxy', true) && !Config.Tty
        ? proxySignals(client, Id, () => process.exit(1))
        : undefined;
    const stream = await client.hijack('POST', `/containers/${Id}/attach`, {
      query: {
        detachKeys: detachKeys || undefined,
        stderr: true,
        stdin: stdin || undefined,
        stdout: true,
        stream: true,
      },
    });
    const stopResize =
      Config.Tty && terminal.isTerminal(1)
        ? followSize(client, `/containers/${Id}`, terminal, { redraw: true })
        : undefined;
    const ended = await runSession(stream, { terminal, tty: Config.Tty, stdin, detachKeys });
    stopResize?.();
    stopProxy?.();
    // Docker reports this as an error here and in `exec`, and not in `run`.
    if (ended === 'detached') throw new Error('read escape sequence');
    return exit;
  },
};
