import { constants } from 'node:os';
import { invalid } from '#/base/errors.ts';

const BY_NAME = new Map<string, number>(Object.entries(constants.signals));
// Names that Docker knows and libuv does not list (signal(7)).
BY_NAME.set('SIGCLD', 17);
for (let offset = 0; offset <= 15; offset++)
  BY_NAME.set(`SIGRTMIN${offset === 0 ? '' : `+${offset}`}`, 34 + offset);
for (let offset = 0; offset <= 14; offset++)
  BY_NAME.set(`SIGRTMAX${offset === 0 ? '' : `-${offset}`}`, 64 - offset);

/** A signal by number or name, with or without `SIG`, any case. `invalid` in Docker's words. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number > 0 && number <= 64) return number;
    throw invalid(`invalid signal: ${text}`);
  }
  const name = text.toUpperCase();
  const number = BY_NAME.get(name.startsWith('SIG') ? name : `SIG${name}`);
  if (number === undefined) throw invalid(`invalid signal: ${text}`);
  return number;
}
