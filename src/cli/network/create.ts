import { BlockList, isIP } from 'node:net';
import type { Command } from '../command.ts';
import type { FlagSet } from '../flags/flag-set.ts';
import { checkLabel, keyValueMap } from '../flags/key-values.ts';

interface Subnet {
  Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

export const command: Command = {
  usage: '[OPTIONS] NETWORK',
  flags: `
      --attachable  Enable manual container attachment
      --aux-address map  Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])
      --config-from string  The network from which to copy the configuration
      --config-only  Create a configuration only network
  -d, --driver string  Driver to manage the Network (default "bridge")
      --gateway strings  IPv4 or IPv6 Gateway for the master subnet
      --ingress  Create swarm routing-mesh network
      --internal  Restrict external access to the network
      --ip-range strings  Allocate container ip from a sub-range
      --ipam-driver string  IP Address Management Driver (default "default")
      --ipam-opt map  Set IPAM driver specific options (default map[])
      --ipv4  Enable or disable IPv4 address assignment (default true)
      --ipv6  Enable or disable IPv6 address assignment
      --label list  Set metadata on a network
  -o, --opt map  Set driver specific options (default map[])
      --scope string  Control the network's scope
      --subnet strings  Subnet in CIDR format that represents a network segment
`,
  checks: { label: checkLabel },
  arguments: { min: 1, max: 1 },
  async run({ flags, args, client, terminal }) {
    const [name = ''] = args;
    const ipamOptions = keyValueMap(flags.list('ipam-opt'));
    const created = await client.json<{ Id: string; Warning?: string }>('POST', '/networks/create', {
      body: {
        Name: name,
        Driver: flags.string('driver', 'bridge'),
        Scope: flags.string('scope'),
        ...(flags.changed('ipv4') && { EnableIPv4: flags.bool('ipv4') }),
        ...(flags.changed('ipv6') && { EnableIPv6: flags.bool('ipv6') }),
        IPAM: {
          Driver: flags.string('ipam-driver', 'default'),
          Options: ipamOptions,
          Config: subnets(flags),
        },
        Internal: flags.bool('internal'),
        Attachable: flags.bool('attachable'),
        Ingress: flags.bool('ingress'),
        ConfigOnly: flags.bool('config-only'),
        ConfigFrom: flags.changed('config-from') ? { Network: flags.string('config-from') } : null,
        Options: keyValueMap(flags.list('opt')),
        Labels: keyValueMap(flags.list('label')),
      },
    });
    if (created.Warning) terminal.err(`WARNING: ${created.Warning}\n`);
    terminal.out(`${created.Id}\n`);
  },
};

/** Joins `--subnet`, `--ip-range`, `--gateway` and `--aux-address`: each of the last three goes to the subnet it lies in. */
function subnets(flags: FlagSet): Subnet[] {
  const list = flags.list('subnet').map((subnet): Subnet => ({ Subnet: subnet }));
  const ranges = flags.list('ip-range');
  const gateways = flags.list('gateway');
  if (list.length < ranges.length || list.length < gateways.length) {
    throw new Error('every ip-range or gateway must have a corresponding subnet');
  }
  for (const [index, { Subnet }] of list.entries()) {
    const before = list.slice(0, index);
    if (before.some((other) => overlap(other.Subnet, Subnet))) {
      throw new Error('multiple overlapping subnet configuration is not supported');
    }
  }
  const owner = (what: string, text: string): Subnet => {
    const found = list.find(({ Subnet }) => contains(Subnet, text.split('/')[0] ?? ''));
    if (!found) throw new Error(`no matching subnet for ${what} ${text}`);
    return found;
  };
  for (const range of ranges) owner('range', range).IPRange = range;
  for (const gateway of gateways) owner('gateway', gateway).Gateway = gateway;
  for (const [name, address] of Object.entries(keyValueMap(flags.list('aux-address')))) {
    (owner('aux-address', address).AuxiliaryAddresses ??= {})[name] = address;
  }
  return list;
}

function overlap(a: string, b: string): boolean {
  return contains(a, b.split('/')[0] ?? '') || contains(b, a.split('/')[0] ?? '');
}

function contains(subnet: string, address: string): boolean {
  const [base = '', length = '32'] = subnet.split('/');
  // What is no subnet is the daemon's to refuse.
  if (isIP(base) === 0 || isIP(address) === 0 || base.includes(':') !== address.includes(':')) return false;
  const family = base.includes(':') ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(base, Number(length), family);
  return list.check(address, family);
}
