import type { Command } from '../command.ts';
import { UNKNOWN_TO_CLIENTS } from '../container/endpoints.ts';
import { keyValueMap } from '../flags/key-values.ts';

export const command: Command = {
  usage: '[OPTIONS] NETWORK CONTAINER',
  flags: `
      --alias strings  Add network-scoped alias for the container
      --driver-opt strings  driver options for the network
      --gw-priority int  Highest gw-priority provides the default gateway. Accepts positive and negative values.
      --ip string  IPv4 address (e.g., "172.30.100.104")
      --ip6 string  IPv6 address (e.g., "2001:db8::33")
      --link list  Add link to another container
      --link-local-ip strings  Add a link-local address for the container
`,
  arguments: { min: 2, max: 2 },
  async run({ flags, args, client }) {
    const [network = '', container = ''] = args;
    await client.text('POST', `/networks/${network}/connect`, {
      body: {
        Container: container,
        EndpointConfig: {
          IPAMConfig: {
            IPv4Address: flags.string('ip'),
            IPv6Address: flags.string('ip6'),
            LinkLocalIPs: flags.list('link-local-ip'),
          },
          Links: flags.list('link'),
          Aliases: flags.list('alias'),
          DriverOpts: keyValueMap(flags.list('driver-opt')),
          GwPriority: flags.number('gw-priority'),
          ...UNKNOWN_TO_CLIENTS,
        },
      },
    });
  },
};
