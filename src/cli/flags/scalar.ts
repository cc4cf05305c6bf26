import { parseByteSize } from '#/base/go-scalars.ts';

/**
 * The values flags take besides plain text, with the words of Go's parsers, which is what users of Docker have met.
 * Each throws an Error whose message is the reason alone.
 */

/** A memory size in binary units (`512m`, `1.5g`, `1024`, `64MiB`): bytes. */
export function parseMemorySize(value: string): number {
  return parseByteSize(value, 1024);
}

/** `--memory-swap`: a size, or -1 for as much as there is. */
export function parseSwapSize(value: string): string {
  return value === '-1' ? value : String(parseMemorySize(value));
}

const DURATION_UNITS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** A Go duration (`1h30m`, `500ms`): nanoseconds. */
export function parseDuration(value: string): number {
  const fail = (reason: string): never => {
    throw new Error(`time: ${reason} ${JSON.stringify(value)}`);
  };
  const sign = value.startsWith('-') ? -1 : 1;
  let rest = value.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  if (rest === '') return fail('invalid duration');
  let total = 0;
  while (rest !== '') {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) return fail('invalid duration');
    rest = rest.slice(number.length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) return fail('missing unit in duration');
    const factor = DURATION_UNITS[unit];
    if (factor === undefined) return fail(`unknown unit ${JSON.stringify(unit)} in duration`);
    rest = rest.slice(unit.length);
    total += Number(number) * factor;
  }
  return sign * Math.round(total);
}

export function parseInteger(value: string, parser = 'ParseInt', min = -(2 ** 63), max = 2 ** 63): number {
  // Base 0 of Go: 0x, 0o, 0b and a leading zero for octal are all understood.
  const match = /^([+-]?)(0[xX][\da-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9]\d*)$/.exec(value);
  if (!match || (parser === 'ParseUint' && match[1] !== '')) {
    throw new Error(`strconv.${parser}: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  const digits = /^0\d+$/.test(match[2] ?? '') ? `0o${(match[2] ?? '').slice(1)}` : match[2];
  const number = (match[1] === '-' ? -1 : 1) * Number(digits);
  if (number < min || number > max) {
    throw new Error(`strconv.${parser}: parsing ${JSON.stringify(value)}: value out of range`);
  }
  return number;
}

/** `--cpus`: a decimal number of CPUs, as billionths of one. */
export function parseCpus(value: string): number {
  const match = /^[+-]?(\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?\d+\/\d+$/.exec(value);
  if (!match) throw new Error(`failed to parse ${value} as a rational number`);
  const [over = '', under = '1'] = value.split('/');
  const nano = (Number(over) / Number(under)) * 1e9;
  const rounded = Math.round(nano);
  if (Math.abs(nano - rounded) > 1e-4) throw new Error('value is too precise');
  return rounded;
}

/** The check of a flag's type word, for the types that have one. */
export function scalarParser(type: string): ((value: string) => string) | undefined {
  switch (type) {
    case 'int':
      return (value) => String(parseInteger(value));
    case 'uint':
      return (value) => String(parseInteger(value, 'ParseUint', 0, 2 ** 64));
    case 'uint16':
      return (value) => String(parseInteger(value, 'ParseUint', 0, 65_535));
    case 'bytes':
      return (value) => String(parseMemorySize(value));
    case 'duration':
      return (value) => String(parseDuration(value));
    case 'decimal':
      return (value) => String(parseCpus(value));
    default:
      return undefined;
  }
}
