import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = '/proc/sys';

/** A kernel setting by its path, `net/ipv4/ip_forward`; `net/…` are those of this thread's network namespace. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(path.join(ROOT, name), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Writes only what is not so already: many hosts have /proc/sys read-only, and some settings act on every write. */
export function writeSysctl(name: string, value: string): void {
  if (readSysctl(name) !== value) writeFileSync(path.join(ROOT, name), value);
}
