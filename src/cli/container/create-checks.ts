import { isIP } from 'node:net';
import type { ValueCheck } from '../flags/flag-set.ts';
import { checkLabel, inheritVariable } from '../flags/key-values.ts';
import { parseSwapSize } from '../flags/scalar.ts';
import { parseGpus, parseThrottleDevice, parseWeightDevice } from './device-option.ts';
import { parseMount } from './mount-option.ts';
import { parseNetworkOption } from './network-option.ts';
import { checkSysctl, parseUlimit } from './resource-options.ts';

/** Runs a parser for its refusal alone; the text is parsed again where the request is made. */
const parses =
  (parse: (value: string) => unknown): ValueCheck =>
  (value) => {
    parse(value);
    return value;
  };

function checkAttach(value: string): string {
  const name = value.toLowerCase();
  if (['stdin', 'stdout', 'stderr'].includes(name)) return name;
  throw new Error('valid streams are STDIN, STDOUT and STDERR');
}

function checkLink(value: string): string {
  const parts = value.split(':');
  if (value === '') throw new Error('empty string specified for links');
  if (parts.length > 2) throw new Error(`bad format for links: ${value}`);
  return value;
}

function checkAddress(value: string): string {
  const address = value.trim();
  if (isIP(address) === 0) throw new Error(`IP address is not correctly formatted: ${value}`);
  return address;
}

function checkDnsSearch(value: string): string {
  const domain = value.trim();
  if (domain === '.' || /^(?:[A-Za-z0-9_][\w-]*\.?)+$/.test(domain)) return domain;
  throw new Error(`${value} is not a valid domain`);
}

/** `host:ip` or `host=ip`, kept as `host:ip`; an IPv6 address may stand in brackets. */
function checkExtraHost(value: string): string {
  const match = /^([^=:]+)[=:](.+)$/s.exec(value);
  if (!match) throw new Error(`bad format for add-host: ${JSON.stringify(value)}`);
  const [, host = '', given = ''] = match;
  if (given === 'host-gateway') return `${host}:${given}`;
  const address = /^\[.*\]$/.test(given) ? given.slice(1, -1) : given;
  if (isIP(address) === 0) throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  return `${host}:${address}`;
}

function checkDeviceRule(value: string): string {
  if (/^[acb] (?:\d+|\*):(?:\d+|\*) [rwm]{1,3}$/.test(value)) return value;
  throw new Error(`invalid device cgroup format '${value}'`);
}

/** What is refused while the command line is read: flag by flag, with Docker's reasons. */
export const CREATE_CHECKS: Readonly<Record<string, ValueCheck>> = {
  'add-host': checkExtraHost,
  attach: checkAttach,
  'blkio-weight-device': parses(parseWeightDevice),
  'device-cgroup-rule': checkDeviceRule,
  'device-read-bps': parses((value) => parseThrottleDevice(value, 'bps')),
  'device-read-iops': parses((value) => parseThrottleDevice(value, 'iops')),
  'device-write-bps': parses((value) => parseThrottleDevice(value, 'bps')),
  'device-write-iops': parses((value) => parseThrottleDevice(value, 'iops')),
  dns: checkAddress,
  'dns-search': checkDnsSearch,
  env: (value) => inheritVariable(value, process.env),
  gpus: parses(parseGpus),
  label: checkLabel,
  link: checkLink,
  'link-local-ip': checkAddress,
  'memory-swap': parseSwapSize,
  mount: parses((value) => parseMount(value, '/')),
  network: parses(parseNetworkOption),
  net: parses(parseNetworkOption),
  sysctl: checkSysctl,
  ulimit: parses(parseUlimit),
};
