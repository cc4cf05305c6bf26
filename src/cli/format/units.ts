const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'];

/** Go's `%.<digits>g`: so many significant digits, no trailing zeros, an exponent from there on. */
export function significant(value: number, digits: number): string {
  if (value === 0) return '0';
  const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits)))));
  if (exponent < -4 || exponent >= digits) {
    const [mantissa = '', power = '0'] = value.toExponential(digits - 1).split('e');
    const sign = power.startsWith('-') ? '-' : '+';
    const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
    return `${short}e${sign}${power.replace(/^[+-]/, '').padStart(2, '0')}`;
  }
  const fixed = value.toFixed(Math.max(0, digits - 1 - exponent));
  return fixed.includes('.') ? fixed.replace(/\.?0+$/, '') : fixed;
}

/** Bytes as Docker's tables show sizes: `7.09MB`, `1.2kB`, `0B`. `digits` significant ones, 4 if not said. */
export function decimalSize(bytes: number, digits = 4): string {
  return scale(bytes, digits, 1000, DECIMAL);
}

/** The same in powers of 1024: `7.656MiB`. */
export function binarySize(bytes: number, digits = 4): string {
  return scale(bytes, digits, 1024, BINARY);
}

function scale(bytes: number, digits: number, base: number, units: readonly string[]): string {
  let size = bytes;
  let unit = 0;
  while (size >= base && unit < units.length - 1) {
    size /= base;
    unit++;
  }
  return `${significant(size, digits)}${units[unit]}`;
}

/** How long something lasted, roughly: `5 minutes`, `About an hour`, `2 weeks`. */
export function humanDuration(seconds: number): string {
  const whole = Math.trunc(seconds);
  if (whole < 1) return 'Less than a second';
  if (whole === 1) return '1 second';
  if (whole < 60) return `${whole} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(seconds / 3600 / 24 / 365)} years`;
}

/** A moment as Go prints a time of the local zone: `2024-05-01 12:00:00 +0200 CEST`. */
export function localTime(milliseconds: number): string {
  const date = new Date(milliseconds);
  const pad = (number: number, width = 2): string => String(number).padStart(width, '0');
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${pad(Math.trunc(Math.abs(offset) / 60))}${pad(Math.abs(offset) % 60)}`;
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${day} ${time} ${zone} ${zoneName(date, zone)}`;
}

function zoneName(date: Date, offset: string): string {
  const name = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
    .formatToParts(date)
    .find((part) => part.type === 'timeZoneName')?.value;
  return name === undefined || name.startsWith('GMT') ? offset.replace(/00$/, '') : name;
}

/** RFC 3339 of the local zone, as `CreatedAt` of images and volumes' JSON have it. */
export function rfc3339(milliseconds: number): string {
  const [day = '', time = '', zone = ''] = localTime(milliseconds).split(' ');
  return `${day}T${time}${zone === '+0000' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3)}`}`;
}

/** A timestamp of the API as Go prints a time in UTC: `2024-05-01 12:00:00.5 +0000 UTC`. */
export function goTime(timestamp: string): string {
  const match = /^(\S+)T([\d:]+(?:\.\d+)?)(Z|[+-]\d\d:\d\d)$/.exec(timestamp);
  if (!match) return timestamp;
  const [, day = '', time = '', zone = ''] = match;
  const offset = zone === 'Z' ? '+0000 UTC' : `${zone.replace(':', '')} ${zone.replace(':', '')}`;
  return `${day} ${time.replace(/\.?0+$/, (zeros) => (time.includes('.') ? '' : zeros))} ${offset}`;
}

/** A moment in RFC 3339 of the local zone with nine digits of a fraction, which are the last of `nanos`. */
export function localTimestamp(seconds: number, nanos: string): string {
  const [day = '', time = '', zone = ''] = localTime(seconds * 1000).split(' ');
  const offset = zone === '+0000' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3)}`;
  return `${day}T${time}.${nanos.padStart(9, '0').slice(-9)}${offset}`;
}
