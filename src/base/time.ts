import { invalid } from './errors.ts';

/** What Docker shows for a moment that never was (Go's zero time). */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

let last = 0n;

/**
 * Nanoseconds since 1970, and later than any this process was given before, so that order by time is the order of
 * happening. The clock behind it is good to about a microsecond.
 */
export function nowNanos(): bigint {
  const wall = Date.now();
  const fine = performance.timeOrigin + performance.now();
  // timeOrigin does not follow when the wall clock is set; then the coarse clock is the right one.
  const milliseconds = Math.abs(fine - wall) < 2 ? fine : wall;
  const whole = Math.floor(milliseconds);
  const now = BigInt(whole) * 1_000_000n + BigInt(Math.floor((milliseconds - whole) * 1e6));
  last = now > last ? now : last + 1n;
  return last;
}

/** RFC 3339 in UTC with as many fractional digits as it takes, at most nine: Go's RFC3339Nano. */
export function formatNanos(nanos: bigint): string {
  const seconds = nanos / 1_000_000_000n;
  const fraction = String(nanos % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const date = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${date}${fraction === '' ? '' : `.${fraction}`}Z`;
}

/** Now, as records keep it. */
export function nowTimestamp(): string {
  return formatNanos(nowNanos());
}

/** Nanoseconds since 1970 of an RFC 3339 time; undefined when it is none. */
export function parseTimestamp(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const milliseconds = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

const UNITS: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Nanoseconds of a duration as Go writes it: `1h30m`, `-1.5s`; undefined when it is none. */
export function parseDuration(text: string): bigint | undefined {
  const match = /^([+-]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+|0)$/.exec(text);
  if (match === null) return undefined;
  let nanos = 0n;
  for (const [, count, unit = ''] of (match[2] ?? '').matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)) {
    nanos += BigInt(Math.round(Number(count) * (UNITS[unit] ?? 0)));
  }
  return match[1] === '-' ? -nanos : nanos;
}

/**
 * Nanoseconds of the API's `since` and `until`: seconds since 1970 with an optional fraction, an RFC 3339 time, the beginning of
 * one (`2024-11-21`, in the host's time zone), or a duration before now.
 */
export function parseUnixTime(text: string): bigint {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,9})\d*)?$/.exec(text);
  if (match !== null) {
    const nanos = BigInt(match[2] ?? 0) * 1_000_000_000n + BigInt((match[3] ?? '').padEnd(9, '0'));
    return match[1] === '-' ? -nanos : nanos;
  }
  const duration = parseDuration(text);
  if (duration !== undefined) return nowNanos() - duration;
  const nanos = parseTimestamp(text) ?? parseLocalTime(text);
  if (nanos === undefined)
    throw invalid(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return nanos;
}

function parseLocalTime(text: string): bigint | undefined {
  if (!/^\d{4}-\d\d-\d\d([Tt]\d\d(:\d\d(:\d\d)?)?)?$/.test(text)) return undefined;
  const [date = '', clock = '00'] = text.toUpperCase().split('T');
  const milliseconds = Date.parse(`${date}T${clock.padEnd(8, ':00')}`);
  return Number.isNaN(milliseconds) ? undefined : BigInt(milliseconds) * 1_000_000n;
}

/** Whole seconds since 1970 of an RFC 3339 time, as list answers show it; 0 for none. */
export function unixSeconds(text: string | undefined): number {
  const nanos = text === undefined ? undefined : parseTimestamp(text);
  return nanos === undefined ? 0 : Number(nanos / 1_000_000_000n);
}

/** Nanoseconds as Go prints a time.Duration: `1m30s`, `500ms`, `0s`. */
export function goDuration(nanos: number): string {
  if (nanos === 0) return '0s';
  if (nanos < 0) return `-${goDuration(-nanos)}`;
  for (const [unit, size] of [
    ['ns', 1],
    ['µs', 1e3],
    ['ms', 1e6],
  ] as const) {
    if (nanos < Math.min(size * 1000, 1e9)) return `${nanos / size}${unit}`;
  }
  const hours = Math.floor(nanos / 3600e9);
  const minutes = Math.floor((nanos % 3600e9) / 60e9);
  const seconds = `${Number(((nanos % 60e9) / 1e9).toFixed(9))}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
