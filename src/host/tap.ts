import { closeSync, constants, openSync } from 'node:fs';
import { ioctl } from './libc.ts';
import { withNetns } from './namespaces.ts';

/* include/uapi/linux/if_tun.h */
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const NAME_SIZE = 16;

/** Makes a tap interface in a network namespace, for whoever opens it there by its name; it lasts as long as the namespace. */
export function makeTap(netns: string, name: string): void {
  withNetns(netns, () => {
    const fd = openSync('/dev/net/tun', constants.O_RDWR);
    try {
      // struct ifreq: 16 bytes of name, then a union of 24 bytes, here the flags.
      const request = Buffer.alloc(40);
      request.write(name, 0, NAME_SIZE - 1);
      request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, NAME_SIZE);
      ioctl(fd, TUNSETIFF, request, 'TUNSETIFF');
      ioctl(fd, TUNSETPERSIST, 1, 'TUNSETPERSIST');
    } finally {
      closeSync(fd);
    }
  });
}
