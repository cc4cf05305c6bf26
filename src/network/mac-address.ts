import { invalid } from '#/base/errors.ts';
import { parseIpv4 } from './subnet.ts';

/** `02:42:` and the four bytes of the address, as Docker's bridge does it: who gets the address anew has the same one. */
export function macOfAddress(address: string): string {
  const hex = parseIpv4(address).toString(16).padStart(8, '0');
  return `02:42:${hex.replaceAll(/(..)(?!$)/g, '$1:')}`;
}

/** The address as Docker writes it. */
export function parseMac(text: string): string {
  if (!/^[\da-f]{2}([:-][\da-f]{2}){5}$/i.test(text)) throw invalid(`invalid MAC address: ${text}`);
  return text.toLowerCase().replaceAll('-', ':');
}
