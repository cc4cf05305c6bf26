import { accessSync, constants, existsSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import type { SyslogDestination, SyslogTarget } from '#/runtime/runtime.ts';
import { type LogInfo, logTag } from './log-info.ts';
import { parseSyslogOptions, type SyslogAddress } from './syslog-options.ts';

// Where Docker's driver looks for the host's own syslog.
const LOCAL_SYSLOGS = ['/dev/log', '/var/run/syslog', '/var/run/log'];

type Options = LogInfo['options'];
type TlsFiles = Omit<Extract<SyslogDestination, { transport: 'tls' }>, 'transport' | 'host' | 'port'>;

/** Where a container's messages go, and what stands before them. Throws Docker's words for what is not there. */
export async function syslogTarget(info: LogInfo): Promise<SyslogTarget> {
  const { address, facility, format } = parseSyslogOptions(info.options);
  return {
    destination: await destinationOf(address, info.options),
    facility,
    format,
    tag: logTag(info, hostname()),
  };
}

async function destinationOf(
  address: SyslogAddress | undefined,
  options: Options,
): Promise<SyslogDestination> {
  if (address === undefined) {
    const local = LOCAL_SYSLOGS.find((file) => existsSync(file));
    if (local === undefined) throw new Error('Unix syslog delivery error');
    return { transport: 'local', address: local };
  }
  if ('path' in address) return { transport: address.transport, address: address.path };
  const { transport, host, port } = address;
  if (transport !== 'tcp+tls') return { transport, address: await resolve(transport, host, port) };
  return { transport: 'tls', host, port, ...tlsFiles(options) };
}

/** Throws the words of Docker's TLS configuration for a file that cannot be read. */
function tlsFiles(options: Options): TlsFiles {
  const {
    'syslog-tls-ca-cert': authorities,
    'syslog-tls-cert': certificate,
    'syslog-tls-key': key,
    'syslog-tls-skip-verify': skip,
  } = options;
  if (authorities) readable('could not read CA certificate', authorities);
  if (certificate && key) {
    readable('could not load X509 key pair', certificate);
    readable('could not load X509 key pair', key);
  } else if (certificate || key) {
    throw new Error('Could not load X509 key pair: a certificate needs its key, and a key its certificate');
  }
  return {
    // Whatever its value is, as in Docker.
    verify: skip === undefined,
    ...(authorities ? { authorities } : {}),
    ...(certificate && key ? { certificate, key } : {}),
  };
}

function readable(what: string, file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new Error(`${what} "${file}": open ${file}: no such file or directory`, { cause: error });
  }
}

/** The monitor knows no names: a container's syslog server has the address that its name had at the start. */
async function resolve(network: string, host: string, port: string): Promise<string> {
  try {
    const { address, family } = await lookup(host || 'localhost');
    return `${family === 6 ? `[${address}]` : address}:${port}`;
  } catch (error) {
    throw new Error(`dial ${network}: lookup ${host}: no such host`, { cause: error });
  }
}
