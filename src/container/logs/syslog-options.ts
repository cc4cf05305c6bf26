import { existsSync } from 'node:fs';
import { parseDecimal } from '#/base/go-scalars.ts';

const TRANSPORTS = ['udp', 'tcp', 'tcp+tls', 'unix', 'unixgram'] as const;
const FORMATS = ['', 'rfc3164', 'rfc5424', 'rfc5424micro'] as const;
// RFC 5424, table 1, by the names of syslog(3).
const FACILITIES = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
];
const FIRST_LOCAL = 16;
const LOCALS = 8;
const DAEMON = 3;
const PORT = '514';

export type SyslogFormat = (typeof FORMATS)[number];

/** Where messages go: a path, or a host and port; undefined is the host's own syslog. */
export type SyslogAddress =
  | { transport: 'unix' | 'unixgram'; path: string }
  | { transport: 'udp' | 'tcp' | 'tcp+tls'; host: string; port: string };

export interface SyslogOptions {
  address: SyslogAddress | undefined;
  facility: number;
  format: SyslogFormat;
}

/** Throws an Error in the words of Docker's driver. */
export function parseSyslogOptions(options: Readonly<Record<string, string>>): SyslogOptions {
  return {
    address: parseAddress(options['syslog-address'] ?? ''),
    facility: parseFacility(options['syslog-facility'] ?? ''),
    format: parseFormat(options['syslog-format'] ?? ''),
  };
}

function parseAddress(text: string): SyslogAddress | undefined {
  if (text === '') return undefined;
  const [, scheme = '', rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(text) ?? [];
  const transport = TRANSPORTS.find((known) => known === scheme.toLowerCase());
  if (transport === undefined) throw new Error(`unsupported scheme: '${scheme}'`);
  if (transport !== 'unix' && transport !== 'unixgram') {
    return { transport, ...hostAndPort(transport, rest.replace(/[/?#].*$/s, '')) };
  }
  if (!existsSync(rest)) throw new Error(`stat ${rest}: no such file or directory`);
  return { transport, path: rest };
}

function hostAndPort(transport: string, text: string): { host: string; port: string } {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text);
  if (match === null) throw new Error(`address ${text}: too many colons in address`);
  const port = match[3] ?? PORT;
  if (!/^\d+$/.test(port) || Number(port) > 65_535)
    throw new Error(`dial ${transport}: address ${port}: invalid port`);
  return { host: match[1] ?? match[2] ?? '', port };
}

function parseFacility(text: string): number {
  if (text === '') return DAEMON;
  const local = /^local([0-7])$/.exec(text);
  if (local !== null) return FIRST_LOCAL + Number(local[1]);
  const named = FACILITIES.indexOf(text);
  if (named !== -1) return named;
  try {
    const number = parseDecimal(text);
    if (number >= 0 && number < FIRST_LOCAL + LOCALS) return number;
  } catch {
    // Neither a name nor a number.
  }
  throw new Error('invalid syslog facility');
}

function parseFormat(text: string): SyslogFormat {
  const format = FORMATS.find((known) => known === text);
  if (format === undefined) throw new Error('invalid syslog format');
  return format;
}
