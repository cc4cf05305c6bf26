import { isIPv4, isIP } from 'node:net';
import { internal, invalid, messageOf } from '#/base/errors.ts';
import { parseByteSize } from '#/base/go-scalars.ts';

/** The local driver's options (moby's volume/local/local_unix.go): what to mount when a container uses the volume. */
const KNOWN = ['type', 'o', 'device', 'size'];
const REQUIRED: Record<string, string[]> = { device: ['type'], type: ['device'], o: ['device', 'type'] };

/** Refuses what the driver cannot do; pure. `name` is the volume's, for Docker's words. */
export function checkLocalOptions(
  name: string,
  options: Record<string, string>,
  host: { hasQuota: boolean },
): void {
  for (const option of Object.keys(options)) {
    if (!KNOWN.includes(option)) throw invalid(`create ${name}: invalid option: "${option}"`);
  }
  if (options['type'] === 'cifs' && /^\/\/[^/]*:\d+(\/|$)/.test(options['device'] ?? '')) {
    throw invalid(`create ${name}: port not allowed in CIFS device URL, include 'port' in 'o='`);
  }
  if (sizeOf(name, options) > 0 && !host.hasQuota) {
    throw invalid(`create ${name}: quota size requested but no quota support`);
  }
  for (const [option, needs] of Object.entries(REQUIRED)) {
    if (options[option] === undefined) continue;
    const missing = needs.find((need) => options[need] === undefined);
    if (missing !== undefined) throw invalid(`create ${name}: missing required option: "${missing}"`);
  }
}

/** Bytes that the volume may hold; 0 without a limit. */
export function sizeOf(name: string, { size }: Record<string, string>): number {
  if (size === undefined) return 0;
  try {
    return parseByteSize(size, 1024);
  } catch (error) {
    throw invalid(`create ${name}: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether there is anything to mount. */
export function needsMount(options: Record<string, string>): boolean {
  return Boolean(options['device'] || options['type']);
}

export interface LocalMount {
  device: string;
  type: string;
  options: string;
}

/** What to ask the kernel for. It knows no names: those of servers are looked up with `resolve`. */
export async function localMount(
  { device = '', type = '', o = '' }: Record<string, string>,
  resolve: (name: string) => Promise<string>,
): Promise<LocalMount> {
  if (device === '') throw internal('missing device in volume options');
  if (type !== 'nfs' && type !== 'cifs') return { device, type, options: o };
  const lookUp = async (name: string): Promise<string> => {
    try {
      return await resolve(name);
    } catch (error) {
      throw internal(`error resolving passed in network volume address: lookup ${name}: no such host`, {
        cause: error,
      });
    }
  };
  const address = /(?:^|,)addr=([^,]*)/.exec(o)?.[1] ?? '';
  if (address !== '' && !isIPv4(address)) {
    return { device, type, options: o.replace(`addr=${address}`, `addr=${await lookUp(address)}`) };
  }
  const [, server = '', share = ''] = /^\/\/([^/]*)(.*)$/.exec(device) ?? [];
  if (type !== 'cifs' || server === '' || isIP(server) !== 0) return { device, type, options: o };
  return { device: `//${await lookUp(server)}${share}`, type, options: o };
}

/** A failure's words without the password that the options may hold. */
export function withoutPassword(words: string, { o = '' }: Record<string, string>): string {
  const password = /(?:^|,)password=([^,]*)/.exec(o)?.[1] ?? '';
  return password === '' ? words : words.replaceAll(`password=${password}`, 'password=********');
}
