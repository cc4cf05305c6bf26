import { conflict, invalid, unavailable } from '#/base/errors.ts';
import { type Subnet, addressOf, formatIpv4, offsetIn, sizeOf } from './subnet.ts';

/**
 * The addresses of one IPv4 subnet, a bit each. The network's own address and its broadcast address are never given
 * out. Keeps nothing: whoever restarts marks what the records say as taken.
 */
export class AddressPool {
  readonly subnet: Subnet;
  readonly #bits: Uint32Array;
  /** Where free ones are looked for, as offsets into the subnet, both included. */
  readonly #first: number;
  readonly #last: number;
  /** Nothing below it is free. */
  #hint: number;

  /** `range` is the part that addresses are picked from; asked for by name, any of the subnet may be taken. */
  constructor(subnet: Subnet, range: Subnet = subnet) {
    this.subnet = subnet;
    const size = sizeOf(subnet);
    this.#bits = new Uint32Array(Math.ceil(size / 32));
    const start = offsetIn(subnet, range.base);
    if (start === undefined || range.prefixLength < subnet.prefixLength) {
      throw invalid(`Cannot pick addresses from ${range.text}: it is not part of ${subnet.text}`);
    }
    this.#first = start;
    this.#last = start + sizeOf(range) - 1;
    this.#hint = start;
    // A subnet of one or two addresses has neither (RFC 3021).
    if (size > 2) {
      this.#mark(0);
      this.#mark(size - 1);
    }
  }

  /** The lowest free address. */
  allocate(): string {
    for (let offset = this.#hint; offset <= this.#last; offset++) {
      if (this.#isMarked(offset)) continue;
      this.#mark(offset);
      this.#hint = offset + 1;
      return formatIpv4(addressOf(this.subnet, offset));
    }
    throw unavailable("no available IPv4 addresses on this network's address pools");
  }

  /** Takes a certain address; Docker's words when it cannot be had. */
  take(address: string): string {
    const offset = offsetIn(this.subnet, address);
    if (offset === undefined) {
      throw invalid(`invalid address ${address}: it does not belong to any of this network's subnets`);
    }
    if (this.#isMarked(offset)) throw conflict('Address already in use');
    this.#mark(offset);
    return address;
  }

  release(address: string): void {
    const offset = offsetIn(this.subnet, address);
    if (offset === undefined) return;
    const word = offset >>> 5;
    this.#bits[word] = (this.#bits[word] ?? 0) & ~(1 << (offset & 31));
    if (offset >= this.#first && offset < this.#hint) this.#hint = offset;
  }

  isTaken(address: string): boolean {
    const offset = offsetIn(this.subnet, address);
    return offset !== undefined && this.#isMarked(offset);
  }

  #isMarked(offset: number): boolean {
    return (((this.#bits[offset >>> 5] ?? 0) >>> (offset & 31)) & 1) === 1;
  }

  #mark(offset: number): void {
    const word = offset >>> 5;
    this.#bits[word] = (this.#bits[word] ?? 0) | (1 << (offset & 31));
  }
}
