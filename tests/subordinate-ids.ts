import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';

/** A user that every host has, and the group he has on Debian. */
export const REMAPPED_USER = 'nobody:nogroup';

const GRANTS = { '/etc/subuid': 'nobody:1600000:65536', '/etc/subgid': 'nobody:1700000:65536' };

/** Grants that user subordinate ids for as long as this is held, where the host does not. */
export function grantSubordinateIds(): Disposable {
  const added = Object.entries(GRANTS).filter(([file]) => !/^nobody:/m.test(read(file)));
  for (const [file, grant] of added) appendFileSync(file, `${grant}\n`);
  return {
    [Symbol.dispose]: () => {
      for (const [file, grant] of added) writeFileSync(file, read(file).replace(`${grant}\n`, ''));
    },
  };
}

/** Where the ids of a user namespace begin outside. */
export function grantedRoot(): { uid: number; gid: number } {
  const start = (file: string): number => Number(/^nobody:(\d+):/m.exec(read(file))?.[1]);
  return { uid: start('/etc/subuid'), gid: start('/etc/subgid') };
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
