import { splitFields, splitPair } from '../flags/comma-separated.ts';

/** One `--network`, in its short form (a name) or its long one (`name=…,alias=…,ip=…`). */
export interface NetworkOption {
  name: string;
  aliases: string[];
  links: string[];
  linkLocalAddresses: string[];
  driverOptions?: Record<string, string>;
  ipv4?: string;
  ipv6?: string;
  macAddress?: string;
  priority?: number;
}

export function parseNetworkOption(value: string): NetworkOption {
  const network: NetworkOption = { name: value, aliases: [], links: [], linkLocalAddresses: [] };
  if (!value.includes('=')) return network;
  network.name = '';
  for (const field of splitFields(value)) {
    const [name, text] = splitPair(field);
    const key = name.trim().toLowerCase();
    if (text === undefined) throw new Error(`invalid field ${field}`);
    const given = text.trim();
    switch (key) {
      case 'name':
        network.name = given;
        break;
      case 'alias':
        network.aliases.push(given);
        break;
      case 'driver-opt': {
        const [option, setting] = splitPair(given);
        if (setting === undefined || option === '')
          throw new Error(`invalid key value pair format in driver options`);
        (network.driverOptions ??= {})[option] = setting;
        break;
      }
      case 'ip':
        network.ipv4 = given;
        break;
      case 'ip6':
        network.ipv6 = given;
        break;
      case 'mac-address':
        network.macAddress = given;
        break;
      case 'link-local-ip':
        network.linkLocalAddresses.push(given);
        break;
      case 'gw-priority':
        if (!/^[+-]?\d+$/.test(given)) {
          throw new Error(`invalid gw-priority (${given}): invalid syntax`);
        }
        network.priority = Number(given);
        break;
      default:
        throw new Error(`invalid field key ${key}`);
    }
  }
  if (network.name === '') throw new Error('network name/id is not specified');
  return network;
}

/** Networks that are modes, not networks that endpoints join: nothing is configured on them. */
export function isUserDefined(mode: string): boolean {
  return !['default', 'bridge', 'host', 'none', ''].includes(mode) && !mode.startsWith('container:');
}
