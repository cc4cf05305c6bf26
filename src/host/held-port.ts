import { checked, libc } from './libc.ts';

/* include/linux/socket.h */
const AF_INET = 2;
const SOCK_TYPE = { tcp: 1, udp: 2 };
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

/**
 * Takes a port of IPv4 in this thread's network namespace, as a program that listens there would, and serves nobody. Throws the
 * SystemError of the bind.
 */
export function holdPort(protocol: 'tcp' | 'udp', address: string, port: number): Disposable {
  const fd = checked(libc.socket(AF_INET, SOCK_TYPE[protocol] | SOCK_CLOEXEC, 0), 'socket');
  try {
    // Connections that have ended do not keep it.
    const one = Buffer.from([1, 0, 0, 0]);
    if (protocol === 'tcp')
      checked(libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, one.length), 'setsockopt');
    // struct sockaddr_in
    const name = Buffer.alloc(16);
    name.writeUInt16LE(AF_INET, 0);
    name.writeUInt16BE(port, 2);
    name.set(address.split('.').map(Number), 4);
    checked(libc.bind(fd, name, name.length), 'bind');
    if (protocol === 'tcp') checked(libc.listen(fd, 1), 'listen');
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return { [Symbol.dispose]: () => void libc.close(fd) };
}
