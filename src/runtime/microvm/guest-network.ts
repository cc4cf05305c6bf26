import { withNetns } from '#/host/namespaces.ts';
import { readSysctl, writeSysctl } from '#/host/sysctl.ts';
import { makeTap } from '#/host/tap.ts';
import { listAddresses, removeAddress } from '#/host/netlink/addresses.ts';
import { listLinks, setLink, findLink } from '#/host/netlink/links.ts';
import { listRoutes } from '#/host/netlink/routes.ts';
import { NetlinkSocket } from '#/host/netlink/socket.ts';
import { redirectRequests } from '#/host/netlink/traffic-control.ts';
import type { GuestInterface, GuestNetwork } from '../runtime.ts';

/**
 * Hands a network namespace's interfaces to a guest: addresses and routes are taken from them and told, and frames go through a tap
 * interface beside each. So whatever network a container can have, a guest has it too, and nobody outside sees a difference. The
 * namespace is the container's own, and used for nothing else.
 */
export function takeNetwork(netns: string): GuestNetwork {
  using socket = new NetlinkSocket(netns);
  const links = listLinks(socket).filter(({ kind, name }) => kind !== '' && name !== 'lo');
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const routes = listRoutes(socket).flatMap(({ destination, prefixLength, gateway = '', link = 0 }) => {
    const name = names.get(link);
    // Those to the link's own networks come with the addresses.
    if (name === undefined || (gateway === '' && prefixLength !== 0)) return [];
    return [{ destination: `${destination}/${prefixLength}`, gateway, link: name }];
  });
  const interfaces = links.map(({ index, name, mac, mtu }, order): GuestInterface => {
    const tap = `tap${order}`;
    makeTap(netns, tap);
    silence(netns, [name, tap]);
    const there = findLink(socket, tap);
    if (there === undefined) throw new Error(`The interface "${tap}" has gone`);
    const addresses = listAddresses(socket, index).filter(({ scope }) => scope === 'global');
    for (const { address, prefixLength } of addresses) removeAddress(socket, index, address, prefixLength);
    setLink(socket, there.index, { mtu, up: true });
    socket.run(...redirectRequests(index, there.index), ...redirectRequests(there.index, index));
    return {
      name,
      mac,
      mtu,
      addresses: addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
      tap,
    };
  });
  return { interfaces, routes };
}

/** The guest alone speaks from here on: the namespace's own IPv6 would have the very same link-local address. */
function silence(netns: string, names: readonly string[]): void {
  withNetns(netns, () => {
    for (const name of names) {
      const setting = `net/ipv6/conf/${name}/disable_ipv6`;
      // Absent from a kernel without IPv6.
      if (readSysctl(setting) !== undefined) writeSysctl(setting, '1');
    }
  });
}
