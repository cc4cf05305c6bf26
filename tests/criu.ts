import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Where scripts/install-criu.sh puts a CRIU when the distribution's does not know the kernel. */
const OWN = '/usr/local/lib/hull-criu';

/** The search path for a daemon that is to find the CRIU that works here, if any does. */
export function pathWithCriu(): string {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`;
  return existsSync(OWN) ? `${OWN}:${path}` : path;
}

/** CRIU's own verdict on this host. */
export function criuWorks(): boolean {
  const options = { env: { ...process.env, PATH: pathWithCriu() }, timeout: 20_000 };
  return spawnSync('criu', ['check'], options).status === 0;
}
