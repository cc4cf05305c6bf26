import type { ApiClient } from '#/api/client/api-client.ts';
import type { Terminal } from '../terminal.ts';

/** Attempts at a first size while the process behind the terminal is still being set up. */
const ATTEMPTS = 10;
const PAUSE_MS = 10;

/**
 * Gives the terminal behind `path` (`/containers/ID` or `/exec/ID`) our size, now and whenever ours changes. With
 * `redraw` the program there, which may be long at work, is made to draw its screen anew.
 */
export function followSize(
  client: ApiClient,
  path: string,
  terminal: Terminal,
  options: { redraw?: boolean } = {},
): () => void {
  const resize = async (more = 0): Promise<void> => {
    const size = terminal.size();
    if (!size || size.rows === 0 || size.columns === 0) return;
    await client.text('POST', `${path}/resize`, { query: { h: size.rows + more, w: size.columns + more } });
  };
  const first = async (): Promise<void> => {
    // Only a change of size makes a program draw its screen again.
    if (options.redraw) await resize(1).catch(() => undefined);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        await resize();
        return;
      } catch {
        await new Promise((resolve) => {
          setTimeout(resolve, PAUSE_MS * attempt);
        });
      }
    }
  };
  const onChange = (): void => {
    resize().catch(() => undefined);
  };
  void first();
  process.on('SIGWINCH', onChange);
  return () => {
    process.off('SIGWINCH', onChange);
  };
}
