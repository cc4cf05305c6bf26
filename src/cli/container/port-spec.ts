import { isIP } from 'node:net';
import { splitFields, splitPair } from '../flags/comma-separated.ts';

export interface PortBinding {
  HostIp: string;
  /** A port, a range (`8000-8010`: any free one of it), or empty for any. */
  HostPort: string;
}

interface Range {
  start: number;
  end: number;
}

const PROTOCOLS = ['tcp', 'udp', 'sctp'];

/** Reads every `-p`: `[[host ip:][host port]:]container port[/protocol]`, ports being ranges too, or the long form. */
export function parsePublish(specs: readonly string[]): Record<string, PortBinding[]> {
  const bindings: Record<string, PortBinding[]> = {};
  for (const spec of specs) {
    for (const [port, binding] of parseShort(spec.includes('=') ? shortForm(spec) : spec)) {
      (bindings[port] ??= []).push(binding);
    }
  }
  return bindings;
}

/** Reads one `--expose`: the ports it names, as `80/tcp`. */
export function parseExpose(spec: string): string[] {
  if (spec.includes(':')) throw new Error(`invalid port format for --expose: ${spec}`);
  const [ports = '', protocol = 'tcp'] = spec.split('/');
  let range: Range;
  try {
    range = parseRange(ports);
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    throw new Error(`invalid range format for --expose: ${spec}, error: ${reason}`, { cause: error });
  }
  return [...Array(range.end - range.start + 1).keys()].map(
    (n) => `${range.start + n}/${protocol.toLowerCase() || 'tcp'}`,
  );
}

/** `published=8080,target=80,protocol=udp` in the short form. */
function shortForm(spec: string): string {
  let published = '';
  let target = '';
  let protocol = 'tcp';
  for (const field of splitFields(spec)) {
    const [key, value] = splitPair(field);
    if (value === undefined || value === '') throw new Error(`invalid field: ${field}`);
    if (key === 'published') published = value;
    else if (key === 'target') target = value;
    else if (key === 'protocol') protocol = value;
    else if (key !== 'mode') throw new Error(`invalid field key: ${key}`);
  }
  return `${published === '' ? '' : `${published}:`}${target}/${protocol}`;
}

function parseShort(spec: string): [string, PortBinding][] {
  const slash = spec.lastIndexOf('/');
  const colon = spec.lastIndexOf(':');
  const address = slash > colon ? spec.slice(0, slash) : spec;
  const protocol = slash > colon ? spec.slice(slash + 1).toLowerCase() || 'tcp' : 'tcp';
  const parts = address.split(':');
  const container = parts.pop() ?? '';
  const host = parts.pop() ?? '';
  let ip = parts.join(':');
  if (container === '') throw new Error(`no port specified: ${spec}<empty>`);
  if (ip.startsWith('[') && ip.endsWith(']')) ip = ip.slice(1, -1);
  if (ip !== '' && isIP(ip) === 0) throw new Error(`invalid IP address: ${ip}`);
  const inside = named('containerPort', container);
  const outside = host === '' ? undefined : named('hostPort', host);
  const count = inside.end - inside.start;
  if (outside && outside.end - outside.start !== count && count !== 0) {
    throw new Error(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
  }
  if (!PROTOCOLS.includes(protocol)) throw new Error(`invalid proto: ${protocol}`);
  const bindings: [string, PortBinding][] = [];
  for (let n = 0; n <= count; n++) {
    let hostPort = outside ? String(outside.start + n) : '';
    if (outside && count === 0 && outside.end !== outside.start) hostPort = `${outside.start}-${outside.end}`;
    bindings.push([`${inside.start + n}/${protocol}`, { HostIp: ip, HostPort: hostPort }]);
  }
  return bindings;
}

function named(what: string, ports: string): Range {
  try {
    return parseRange(ports);
  } catch (error) {
    throw new Error(`invalid ${what}: ${ports}`, { cause: error });
  }
}

function parseRange(ports: string): Range {
  if (ports === '') throw new Error('empty string specified for ports');
  const [first = '', last = first] = ports.split('-', 2);
  const start = parsePort(first);
  const end = parsePort(last);
  if (end < start) throw new Error(`invalid range specified for port: ${ports}`);
  return { start, end };
}

function parsePort(text: string): number {
  if (!/^\d+$/.test(text))
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const port = Number(text);
  if (port > 65_535)
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return port;
}
