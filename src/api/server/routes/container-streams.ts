import { invalid } from '#/base/errors.ts';
import type { LogOptions } from '#/container/streams.ts';
import { parseUnixTime } from '#/base/time.ts';
import { outputMediaType } from '../compat/output-media-type.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../detach-keys.ts';
import type { StreamChoice } from '../engine.ts';
import type { Exchange } from '../exchange.ts';
import { OutputWriter } from '../frames.ts';
import { hijack } from '../hijack.ts';
import type { Query } from '../query.ts';
import { type Route, route } from '../router.ts';
import { serveStdio } from '../stdio.ts';
import { acceptWebSocket } from '../websocket.ts';

export const containerStreamRoutes: readonly Route[] = [
  route('POST', '/containers/{id}/attach', async (exchange, engine) => {
    const { query } = exchange;
    const detachKeys = parseDetachKeys(query.given('detachKeys') ?? DEFAULT_DETACH_KEYS);
    const want = { stdin: query.flag('stdin'), stdout: query.flag('stdout'), stderr: query.flag('stderr') };
    const options = { ...want, stream: query.flag('stream'), logs: query.flag('logs') };
    const session = await engine.streams.attach(exchange.parameter('id'), options, exchange.signal);
    const client = hijack(exchange, outputMediaType(exchange.version, session.terminal));
    await serveStdio(client, { ...session, framed: !session.terminal, want, detachKeys });
  }),

  route('GET', '/containers/{id}/logs', async (exchange, engine) => {
    const options = logOptions(exchange.query);
    const logs = await engine.streams.logs(exchange.parameter('id'), options, exchange.signal);
    exchange.begin(200, outputMediaType(exchange.version, logs.terminal));
    const writer = new OutputWriter(exchange.response, !logs.terminal);
    for await (const frame of logs.frames) {
      await writer.write(frame.stream, frame.data);
      if (exchange.signal.aborted) break;
    }
    exchange.response.end();
  }),

  route('GET', '/containers/{id}/stats', async (exchange, engine) => {
    const { query, version, signal } = exchange;
    const options = {
      stream: query.flag('stream', true),
      oneShot: !version.below('1.41') && query.flag('one-shot'),
    };
    await exchange.jsonLines(engine.stats.samples(exchange.parameter('id'), options, signal));
  }),

  route('GET', '/containers/{id}/attach/ws', async (exchange, engine) => {
    const { query, version } = exchange;
    const detachKeys = parseDetachKeys(query.given('detachKeys') ?? DEFAULT_DETACH_KEYS);
    const want = webSocketStreams(exchange);
    const options = { ...want, stream: query.flag('stream'), logs: query.flag('logs') };
    const session = await engine.streams.attach(exchange.parameter('id'), options, exchange.signal);
    const client = acceptWebSocket(exchange, version.below('1.28') ? 'text' : 'binary');
    await serveStdio(client, { ...session, framed: false, want, detachKeys });
  }),
];

/** Which streams a websocket carries could not be chosen before API 1.42. */
function webSocketStreams({ query, version }: Exchange): StreamChoice {
  const chosen = (name: string): boolean => version.below('1.42') || query.flag(name);
  return { stdin: chosen('stdin'), stdout: chosen('stdout'), stderr: chosen('stderr') };
}

function logOptions(query: Query): LogOptions {
  const stdout = query.flag('stdout');
  const stderr = query.flag('stderr');
  if (!stdout && !stderr) {
    throw invalid('Bad parameters: you must choose at least one stream');
  }
  const since = moment(query, 'since');
  const until = moment(query, 'until');
  const tail = tailLines(query.text('tail'));
  return {
    stdout,
    stderr,
    follow: query.flag('follow'),
    timestamps: query.flag('timestamps'),
    details: query.flag('details'),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(tail === undefined ? {} : { tail }),
  };
}

/** Zero and nothing both mean no limit: `docker logs --since 0`. */
function moment(query: Query, key: string): bigint | undefined {
  const text = query.text(key);
  if (text === '') return undefined;
  const nanos = parseUnixTime(text);
  return nanos === 0n ? undefined : nanos;
}

/** `all`, nothing, what is no number and what is negative all mean everything, as in moby's daemon/logs.go. */
function tailLines(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
