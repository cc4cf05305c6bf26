/**
 * Values in text as Go's parsers take them, in whose words clients of Docker know what is wrong with one. Each throws an Error whose
 * message is the reason alone.
 */
export function parseBool(value: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

const SIZE_UNITS = 'bkmgtp';

/** A size (`512m`, `1.5g`, `1024`, `64MiB`) in bytes; `base` is 1024 where Docker counts memory, 1000 where it counts files. */
export function parseByteSize(value: string, base: 1000 | 1024): number {
  const end = /[\d. ](?=[^\d. ]*$)/.exec(value)?.index ?? -1;
  const number = value.slice(0, end + 1).replace(/ $/, '');
  const suffix = value.slice(end + 1);
  if (end === -1 || number.startsWith('-')) throw new Error(`invalid size: '${value}'`);
  if (!/^\+?(?:\d+\.?\d*|\.\d+)$/.test(number)) {
    throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`);
  }
  if (!/^(?:b|[kmgtp](?:b|ib)?)?$/i.test(suffix)) throw new Error(`invalid suffix: '${suffix}'`);
  return Math.trunc(
    Number(number) * base ** Math.max(0, SIZE_UNITS.indexOf(suffix.slice(0, 1).toLowerCase())),
  );
}

/** Go's strconv.Atoi. */
export function parseDecimal(value: string): number {
  const number = Number(value);
  if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(number)) {
    const reason = /^[+-]?\d+$/.test(value) ? 'value out of range' : 'invalid syntax';
    throw new Error(`strconv.Atoi: parsing ${JSON.stringify(value)}: ${reason}`);
  }
  return number;
}
