import type { Duplex } from 'node:stream';
import { invalid, messageOf } from '#/base/errors.ts';
import type { TerminalSize } from '#/runtime/runtime.ts';
import type { ExecConfig, ExecInspectResponse, ExecStartConfig } from '#/wire/generated.ts';
import { outputMediaType } from '../compat/output-media-type.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../detach-keys.ts';
import { OutputWriter } from '../frames.ts';
import { hijack } from '../hijack.ts';
import { type Route, route } from '../router.ts';
import { serveStdio } from '../stdio.ts';
import { terminalSize } from '../terminal-size.ts';

export const execRoutes: readonly Route[] = [
  route('POST', '/containers/{id}/exec', async (exchange, engine) => {
    const config = await exchange.body<ExecConfig>('ExecConfig');
    if (config.DetachKeys) parseDetachKeys(config.DetachKeys);
    if ((config.Cmd ?? []).length === 0) throw invalid('No exec command specified');
    exchange.json(201, await engine.execs.create(exchange.parameter('id'), config));
  }),

  route('POST', '/exec/{id}/start', async (exchange, engine) => {
    const config = await exchange.body<ExecStartConfig>('ExecStartConfig');
    const id = exchange.parameter('id');
    const exec = await engine.execs.inspect(id);
    const options = { detach: config.Detach ?? false, tty: config.Tty ?? false, ...consoleSize(config) };
    const started = await engine.execs.start(id, options);
    if (started === undefined) return exchange.empty(200);
    // Before the first output there can be: docker-py loses what comes in one piece with the headers.
    const client = hijack(exchange, outputMediaType(exchange.version, started.terminal));
    const attachment = started.attachment.catch((error: unknown) =>
      tellInStream(client, started.terminal, error),
    );
    await serveStdio(client, { ...started, framed: !started.terminal, attachment, ...stdioOf(exec) });
  }),

  route('GET', '/exec/{id}/json', async (exchange, engine) => {
    exchange.json(200, await engine.execs.inspect(exchange.parameter('id')));
  }),

  route('POST', '/exec/{id}/resize', async (exchange, engine) => {
    const size = terminalSize(exchange.query);
    await engine.execs.resize(exchange.parameter('id'), size);
    exchange.empty(200);
  }),
];

function stdioOf(exec: ExecInspectResponse): Pick<Parameters<typeof serveStdio>[1], 'want' | 'detachKeys'> {
  return {
    want: {
      stdin: exec.OpenStdin ?? false,
      stdout: exec.OpenStdout ?? false,
      stderr: exec.OpenStderr ?? false,
    },
    detachKeys: parseDetachKeys(exec.DetachKeys || DEFAULT_DETACH_KEYS),
  };
}

/** A command that cannot run is told in the output, and the exec's exit code tells the rest: what the docker CLI expects. */
async function tellInStream(client: Duplex, terminal: boolean, error: unknown): Promise<undefined> {
  await new OutputWriter(client, !terminal).write('stdout', Buffer.from(`${messageOf(error)}\r\n`));
  return undefined;
}

function consoleSize(config: ExecStartConfig): { consoleSize?: TerminalSize } {
  const [rows, columns] = config.ConsoleSize ?? [];
  return rows === undefined || columns === undefined ? {} : { consoleSize: { rows, columns } };
}
