import { isIP } from 'node:net';
import type { Listener } from '../runtime.ts';

/** What the event LISTENING tells (protocol.md). A guest may say anything: what is no line of its kind is left out. */
export function parseListeners(text: string): Listener[] {
  return text.split('\n').flatMap((line) => {
    const [protocol, address = '', number, ...rest] = line.split(' ');
    const port = Number(number);
    if ((protocol !== 'tcp' && protocol !== 'udp') || isIP(address) === 0 || rest.length > 0) return [];
    return Number.isInteger(port) && port > 0 && port < 65_536 ? [{ protocol, address, port }] : [];
  });
}
