import type { ApiClient } from '#/api/client/api-client.ts';
import type { Terminal } from '../terminal.ts';

/** Attempts at a first size while the process behind the terminal is still being set up. */
const ATTEMPTS = 10;
const PAUSE_MS = 10;

/** Gives the terminal behind `path` (`/containers/ID` or `/exec/ID`) our size, now and whenever ours changes. */
export function followSize(client: ApiClient, path: string, terminal: Terminal): () => void {
  const resize = async (): Promise<void> => {
    const size = terminal.size();
    if (!size || size.rows === 0 || size.columns === 0) return;
    await client.text('POST', `${path}/resize`, { query: { h: size.rows, w: size.columns } });
  };
  const first = async (): Promise<void> => {
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
