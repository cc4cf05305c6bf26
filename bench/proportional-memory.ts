import { readFileSync } from 'node:fs';

/** Proportional set size in bytes: shared pages counted in shares, which is what one more process costs the host. */
export function pss(pid: number): number {
  return sumOfPss(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
}

/** The same of those mappings of a process alone that are of a file at `path`, as the process names it. */
export function pssOfFile(pid: number, path: string): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[\da-f]+-[\da-f]+ )/m);
  const ofFile = mappings.filter((mapping) => mapping.slice(0, mapping.indexOf('\n')).endsWith(` ${path}`));
  return sumOfPss(ofFile.join(''));
}

function sumOfPss(smaps: string): number {
  return [...smaps.matchAll(/^Pss:\s+(\d+) kB/gm)].reduce((sum, match) => sum + Number(match[1]) * 1024, 0);
}
