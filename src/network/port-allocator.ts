import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { errnoCode, internal, messageOf } from '#/base/errors.ts';
import type { PortRequest, PublishedPort } from './driver.ts';
import { type PortHolder, type RelayTarget, relayTcp, relayUdp } from './port-relay.ts';

/** One request fulfilled: the bindings it gave (two where it stands for both address families), until `release`. */
export interface PortLease {
  published: PublishedPort[];
  release(): void;
}

const WORDS: Record<string, string> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

/** Which ports of the host are ours: against ourselves by a table, against other programs by holding a socket. */
export class PortAllocator {
  /** `tcp/8080` to the addresses it is held on. */
  readonly #held = new Map<string, Set<string>>();
  #last = 0;

  /** `defaultIp` is where ports without an address go (`--ip`); `0.0.0.0` means IPv6 as well where the host has it. */
  async lease(request: PortRequest, target: RelayTarget, defaultIp = '0.0.0.0'): Promise<PortLease> {
    const { hostPort = 0, hostPortEnd = hostPort } = request;
    const anywhere = request.hostIp === undefined && defaultIp === '0.0.0.0';
    const address = request.hostIp ?? defaultIp;
    if (hostPort === 0) return this.#leaseFree(request, address, anywhere, target);
    let failure: unknown;
    for (let port = hostPort; port <= hostPortEnd; port++) {
      try {
        return await this.#leasePort(request, address, port, anywhere, target);
      } catch (error) {
        failure ??= error;
        if (hostPort !== hostPortEnd && !isTaken(error)) throw error;
      }
    }
    throw failure;
  }

  /** The ports of the ephemeral range in turn, so that a port just given back is not given out at once. */
  async #leaseFree(
    request: PortRequest,
    address: string,
    anywhere: boolean,
    target: RelayTarget,
  ): Promise<PortLease> {
    const [first, last] = ephemeralRange();
    for (let tries = first; tries <= last; tries++) {
      this.#last = this.#last < first || this.#last >= last ? first : this.#last + 1;
      try {
        return await this.#leasePort(request, address, this.#last, anywhere, target);
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
    }
    throw internal('all ports are allocated');
  }

  async #leasePort(
    { containerPort, protocol }: PortRequest,
    address: string,
    port: number,
    anywhere: boolean,
    target: RelayTarget,
  ): Promise<PortLease> {
    const key = `${protocol}/${port}`;
    const taken = this.#held.get(key) ?? new Set();
    if ([...taken].some((other) => clash(other, address))) {
      const where = `${bracketed(address)}:${port}`;
      throw internal(`Bind for ${where} failed: port is already allocated`, { cause: ALLOCATED });
    }
    this.#held.set(key, taken.add(address));
    const letGo = (): void => {
      taken.delete(address);
      if (taken.size === 0) this.#held.delete(key);
    };
    try {
      const published: PublishedPort = { containerPort, protocol, hostIp: address, hostPort: port };
      const { holders, both } = await hold(protocol, address, port, anywhere, target);
      return {
        published: both ? [published, { ...published, hostIp: '::' }] : [published],
        release: () => {
          for (const holder of holders) holder.close();
          letGo();
        },
      };
    } catch (error) {
      letGo();
      const words = WORDS[errnoCode(error) ?? ''] ?? messageOf(error);
      throw internal(`failed to bind host port ${bracketed(address)}:${port}/${protocol}: ${words}`, {
        cause: error,
      });
    }
  }
}

/** The cause of the error when it is ourselves who have the port. */
const ALLOCATED = Object.assign(new Error('port is already allocated'), { code: 'EADDRINUSE' });

function isTaken(error: unknown): boolean {
  return error instanceof Error && errnoCode(error.cause) === 'EADDRINUSE';
}

/** Whether two addresses cannot have one port. A socket on `0.0.0.0` is on `::` as well where the host has IPv6. */
function clash(a: string, b: string): boolean {
  return a === b || [a, b].some((address) => address === '0.0.0.0' || address === '::');
}

async function hold(
  protocol: PortRequest['protocol'],
  address: string,
  port: number,
  anywhere: boolean,
  target: RelayTarget,
): Promise<{ holders: PortHolder[]; both: boolean }> {
  // Node has no SCTP: the table alone keeps two containers apart.
  if (protocol === 'sctp') return { holders: [], both: false };
  const relay = protocol === 'tcp' ? relayTcp : relayUdp;
  if (!anywhere) return { holders: [await relay(address, port, target)], both: false };
  try {
    // One socket for both families: it clashes with whoever holds the port on either.
    return { holders: [await relay('::', port, target)], both: true };
  } catch (error) {
    if (errnoCode(error) !== 'EAFNOSUPPORT' && errnoCode(error) !== 'EADDRNOTAVAIL') throw error;
    return { holders: [await relay('0.0.0.0', port, target)], both: false };
  }
}

function bracketed(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

/** `net.ipv4.ip_local_port_range`. */
function ephemeralRange(): [number, number] {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const [first = 0, last = 0] = text.trim().split(/\s+/).map(Number);
    if (first > 0 && last >= first && last <= 65_535) return [first, last];
  } catch {
    // Without /proc/sys the kernel's default stands.
  }
  return [32_768, 60_999];
}
