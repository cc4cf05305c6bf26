import { flagUsages } from '#/cli/flags/usage.ts';
import { DAEMON_FLAGS } from './daemon-flags.ts';

/** What `hulld --help` prints. */
export function daemonHelp(width = 80): string {
  return `
Usage:  hulld [OPTIONS]

A container engine: one image, one API, two walls.

Options:
${flagUsages(DAEMON_FLAGS, width)}`;
}
