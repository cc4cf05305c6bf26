import { type Command, type CommandContext, StatusError } from '../command.ts';
import { inheritVariable, readKeyValueFile, replaceVariables } from '../flags/key-values.ts';
import { followSize } from '../stream/resize.ts';
import { runSession } from '../stream/session.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  flags: `
  -d, --detach  Detached mode: run command in the background
      --detach-keys string  Override the key sequence for detaching a container
  -e, --env list  Set environment variables
      --env-file list  Read in a file of environment variables
  -i, --interactive  Keep STDIN open even if not attached
      --privileged  Give extended privileges to the command
  -t, --tty  Allocate a pseudo-TTY
  -u, --user string  Username or UID (format: "<name|uid>[:<group|gid>]")
  -w, --workdir string  Working directory inside the container
`,
  checks: { env: (value) => inheritVariable(value, process.env) },
  arguments: { min: 2 },
  interspersed: false,
  run,
};

async function run({ flags, args, client, terminal, env, config }: CommandContext): Promise<number> {
  const [name = '', ...words] = args;
  const detach = flags.bool('detach');
  const detachKeys = flags.string('detach-keys') || config.detachKeys || '';
  const tty = flags.bool('tty');
  const attachStdin = flags.bool('interactive') && !detach;
  const fromFiles = flags.list('env-file').flatMap((file) => readKeyValueFile(file, env));
  const variables = [...fromFiles, ...replaceVariables(flags.list('env'))];
  const size = terminal.size() ?? { rows: 0, columns: 0 };
  const consoleSize = tty && { ConsoleSize: [size.rows, size.columns] };
  if (!detach && tty && attachStdin && !terminal.isTerminal(0)) {
    // Whether the container exists comes first, as docker has it.
    await client.text('GET', `/containers/${name}/json`);
    throw new StatusError('the input device is not a TTY', 1);
  }
  client.warm(1);
  const { Id } = await client.json<{ Id: string }>('POST', `/containers/${name}/exec`, {
    body: {
      User: flags.string('user'),
      Privileged: flags.bool('privileged'),
      Tty: tty,
      ...consoleSize,
      AttachStdin: attachStdin,
      AttachStderr: !detach,
      AttachStdout: !detach,
      Detach: detach,
      DetachKeys: detachKeys,
      Env: variables.length > 0 ? variables : null,
      WorkingDir: flags.string('workdir'),
      Cmd: words,
    },
  });
  const body = { Detach: detach, Tty: tty, ...consoleSize };
  if (detach) {
    await client.text('POST', `/exec/${Id}/start`, { body });
    return 0;
  }
  const stream = await client.hijack('POST', `/exec/${Id}/start`, { body });
  const stopResize = tty && terminal.isTerminal(1) ? followSize(client, `/exec/${Id}`, terminal) : undefined;
  const ended = await runSession(stream, {
    terminal,
    tty,
    stdin: attachStdin,
    detachKeys,
  });
  stopResize?.();
  if (ended === 'detached') throw new Error('read escape sequence');
  const { ExitCode } = await client.json<{ ExitCode: number | null }>('GET', `/exec/${Id}/json`);
  return ExitCode ?? 0;
}
