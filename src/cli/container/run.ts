import type { HijackedStream } from '#/api/client/api-client.ts';
import { messageOf } from '#/base/errors.ts';
import { type Command, type CommandContext, StatusError } from '../command.ts';
import { proxyVariables } from '../config/client-config.ts';
import { followSize } from '../stream/resize.ts';
import { runSession } from '../stream/session.ts';
import { proxySignals } from '../stream/signals.ts';
import { createBody, type CreateBody } from './create-body.ts';
import { CREATE_CHECKS } from './create-checks.ts';
import { createContainer } from './create-container.ts';
import { CREATE_FLAGS, HIDDEN_CREATE_FLAGS } from './create-flags.ts';
import { waitForExit } from './wait-exit.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: `${CREATE_FLAGS}
  -d, --detach  Run container in background and print container ID
      --detach-keys string  Override the key sequence for detaching a container
      --pull string  Pull image before running ("always", "missing", "never") (default "missing")
      --sig-proxy  Proxy received signals to the process (default true)
`,
  hiddenFlags: HIDDEN_CREATE_FLAGS,
  checks: CREATE_CHECKS,
  arguments: { min: 1 },
  interspersed: false,
  run,
};

const WINDOWS_FLAGS = ['cpu-count', 'cpu-percent', 'io-maxbandwidth', 'io-maxiops'];

/** The request's body; what is wrong with the command line is told with a hint, and code 125. */
export function parsedBody(context: CommandContext, verb: string): CreateBody {
  const { flags, args, env, terminal, client, config } = context;
  const proxies = config.proxies && proxyVariables(config, client.endpoint.name, flags.list('env'));
  const size = terminal.size() ?? { rows: 0, columns: 0 };
  const foreign = WINDOWS_FLAGS.filter((flag) => flags.changed(flag)).map(
    (flag) =>
      `"--${flag}" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux`,
  );
  if (foreign.length > 0) throw new StatusError(foreign.join('\n'), 1);
  try {
    return createBody(flags, args, {
      env,
      cwd: process.cwd(),
      consoleSize: [size.rows, size.columns],
      host: client.endpoint.name,
      ...(proxies && { proxies }),
    });
  } catch (error) {
    throw new StatusError(withHelp(error, verb), 125, { cause: error });
  }
}

function withHelp(error: unknown, verb: string): string {
  return `hull: ${messageOf(error)}\n\nRun 'hull ${verb} --help' for more information`;
}

/**
 * A failed creation or start. 127: the command is not in the image; 126: it cannot be executed; 125: the daemon or this
 * client failed.
 */
function startFailure(error: unknown): StatusError {
  const message = messageOf(error);
  let code = 125;
  if (/executable file not found|no such file or directory|system cannot find the file/.test(message)) {
    code = 127;
  } else if (/permission denied|is a directory/.test(message)) code = 126;
  return new StatusError(withHelp(error, 'run'), code, { cause: error });
}

async function run(context: CommandContext): Promise<number> {
  const { flags, client, terminal } = context;
  const detach = flags.bool('detach');
  const body = parsedBody(context, 'run');
  if (detach) checkDetached(context);
  else checkAttached(context, body);
  // Attach and wait follow the creation at once: their connections are opened while the daemon works on it.
  if (!detach) setImmediate(() => client.warm(2));
  const id = await createContainer(context, body).catch((error: unknown) => {
    throw startFailure(error);
  });
  if (detach) return startDetached(context, id);
  const autoRemove = flags.bool('rm');
  const attached = body.AttachStdin || body.AttachStdout || body.AttachStderr;
  const stopProxy = flags.bool('sig-proxy', true)
    ? proxySignals(client, id, () => {
        terminal.err('\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n');
        process.exit(1);
      })
    : undefined;
  const waiting = waitForExit(client, id, autoRemove ? 'removed' : 'next-exit', (text) => terminal.err(text));
  waiting.catch(() => undefined);
  const stream = attached ? await attach(context, id, body) : undefined;
  const session = stream
    ? runSession(stream, {
        terminal,
        tty: body.Tty,
        stdin: body.AttachStdin,
        detachKeys: detachKeys(context),
      })
    : undefined;
  session?.catch(() => undefined);
  const { exit } = await waiting;
  exit.catch(() => undefined);
  try {
    await client.text('POST', `/containers/${id}/start`);
  } catch (error) {
    stream?.socket.destroy();
    await session?.catch(() => undefined);
    // The daemon removes it on the way out of the failed start; only then may its name be used again.
    if (autoRemove) await exit.catch(() => undefined);
    throw startFailure(error);
  }
  const stopResize =
    body.Tty && attached && terminal.isTerminal(1)
      ? followSize(client, `/containers/${id}`, terminal)
      : undefined;
  const ended = await session;
  stopResize?.();
  stopProxy?.();
  if (ended === 'detached') return 0;
  if (!attached) {
    // Nothing of the container comes here, so there is nothing to stay for.
    terminal.out(`${id}\n`);
    return 0;
  }
  return exit;
}

async function startDetached({ client, terminal }: CommandContext, id: string): Promise<number> {
  try {
    await client.text('POST', `/containers/${id}/start`);
    return 0;
  } catch (error) {
    throw startFailure(error);
  } finally {
    // The container is there even when it would not start.
    terminal.out(`${id}\n`);
  }
}

function detachKeys({ flags, config }: CommandContext): string {
  return flags.string('detach-keys') || config.detachKeys || '';
}

function attach(context: CommandContext, id: string, body: CreateBody): Promise<HijackedStream> {
  const query = {
    detachKeys: detachKeys(context) || undefined,
    stderr: body.AttachStderr || undefined,
    stdin: body.AttachStdin || undefined,
    stdout: body.AttachStdout || undefined,
    stream: true,
  };
  return context.client.hijack('POST', `/containers/${id}/attach`, { query });
}

function checkAttached({ terminal }: CommandContext, body: CreateBody): void {
  if (body.Tty && body.AttachStdin && !terminal.isTerminal(0)) {
    throw new StatusError('the input device is not a TTY', 1);
  }
}

function checkDetached({ flags }: CommandContext): void {
  if (flags.changed('attach')) {
    throw new StatusError('conflicting options: cannot specify both --attach and --detach', 1);
  }
}
