import { messageOf } from '#/base/errors.ts';
import { parseTimestamp } from '#/base/time.ts';
import type { FlagSet } from '../flags/flag-set.ts';
import { parseDuration } from '../flags/scalar.ts';

/** `2013-01-02`, `2013-01-02T15:04`, … with or without a zone; the local zone where none is written. */
const DATE = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * `--since` and `--until` as the API takes them: seconds since 1970, with nine digits of a fraction where the user gave one.
 * The user writes a duration before now (`42m`), a date or time, or such a number.
 */
export function parseTimeFlag(value: string, now = Date.now()): string {
  try {
    // No duration, though it reads as one: the beginning of time.
    if (value === '0') return value;
    // Whole seconds, as docker's clients say it.
    return String(Math.floor((now - parseDuration(value) / 1e6) / 1000));
  } catch {
    // Not a duration; then it is a moment.
  }
  if (/^-?\d+(?:\.\d+)?$/.test(value)) return value;
  const match = DATE.exec(value);
  if (!match) throw new Error(`failed to parse value as time or duration: ${JSON.stringify(value)}`);
  const [, day = '', hour = '00', minute = '00', second = '00', fraction, zone] = match;
  const text = `${day}T${hour}:${minute}:${second}`;
  // Date reads a time without a zone as local, which is what is meant.
  const whole = zone === undefined ? BigInt(Date.parse(text)) * 1_000_000n : parseTimestamp(`${text}${zone}`);
  if (whole === undefined)
    throw new Error(`failed to parse value as time or duration: ${JSON.stringify(value)}`);
  return formatSeconds(whole + BigInt((fraction ?? '').padEnd(9, '0')));
}

function formatSeconds(nanos: bigint): string {
  return `${nanos / 1_000_000_000n}.${String(nanos % 1_000_000_000n).padStart(9, '0')}`;
}

/** The flag's moment as the API takes it; undefined when it was not given. */
export function timeFlag(flags: FlagSet, name: string): string | undefined {
  if (!flags.changed(name)) return undefined;
  try {
    return parseTimeFlag(flags.string(name));
  } catch (error) {
    throw new Error(`invalid value for ${JSON.stringify(name)}: ${messageOf(error)}`, { cause: error });
  }
}
