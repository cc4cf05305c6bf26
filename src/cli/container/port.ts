import { messageOf } from '#/base/errors.ts';
import type { Command } from '../command.ts';
import { parseInteger } from '../flags/scalar.ts';
import { naturalOrder } from '../format/natural-order.ts';

interface Inspected {
  NetworkSettings: { Ports?: Record<string, { HostIp: string; HostPort: string }[] | null> | null };
}

export const command: Command = {
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  arguments: { min: 1, max: 2 },
  async run({ args, client, terminal }) {
    const [name = '', asked] = args;
    const { NetworkSettings } = await client.json<Inspected>('GET', `/containers/${name}/json`);
    const ports = NetworkSettings.Ports ?? {};
    const bound = (key: string): string[] =>
      (ports[key] ?? []).map(
        ({ HostIp, HostPort }) => `${HostIp.includes(':') ? `[${HostIp}]` : HostIp}:${HostPort}`,
      );
    if (asked === undefined) {
      const lines = Object.keys(ports).flatMap((key) => bound(key).map((where) => `${key} -> ${where}\n`));
      terminal.out(lines.sort(naturalOrder).join(''));
      return;
    }
    const [port = '', protocol = 'tcp'] = asked.split('/');
    try {
      parseInteger(port, 'ParseUint', 0, 65_535);
    } catch (error) {
      throw new Error(`Error: invalid port (${port}): ${messageOf(error)}`, { cause: error });
    }
    const found = bound(`${port}/${protocol.toLowerCase()}`);
    if (found.length === 0) throw new Error(`Error: No public port '${asked}' published for ${name}`);
    terminal.out(`${found.sort(naturalOrder).join('\n')}\n`);
  },
};
