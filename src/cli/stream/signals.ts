import { constants } from 'node:os';
import type { ApiClient } from '#/api/client/api-client.ts';

/** Not the container's business: they tell about our own children, terminal, profiler or socket, or cannot be caught. */
const OURS = new Set([
  'SIGCHLD',
  'SIGPIPE',
  'SIGURG',
  'SIGWINCH',
  'SIGKILL',
  'SIGSTOP',
  'SIGPROF',
  'SIGVTALRM',
]);

/** Raised by our own faults; to catch them would hide those. */
const FAULTS = new Set(['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGIOT', 'SIGSYS']);

/** What terminals, shells and supervisors send. */
const FIRST: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** A user who signals this often wants this process to end, whatever the container does. */
const PATIENCE = 3;

/** Sends the signals that this process gets to the container instead. Returns the way to end that. */
export function proxySignals(client: ApiClient, id: string, giveUp: () => void): () => void {
  const registered: [NodeJS.Signals, () => void][] = [];
  let interrupts = 0;
  const register = (name: NodeJS.Signals): void => {
    const handler = (): void => {
      if ((name === 'SIGINT' || name === 'SIGTERM') && ++interrupts >= PATIENCE) giveUp();
      client
        .text('POST', `/containers/${id}/kill`, { query: { signal: name.slice(3) } })
        // The container may have ended meanwhile; its exit is reported elsewhere.
        .catch(() => undefined);
    };
    try {
      process.on(name, handler);
      registered.push([name, handler]);
    } catch {
      // Not every number this platform names can be listened to.
    }
  };
  for (const name of FIRST) register(name);
  // Thirty handlers take a millisecond: those that hardly anyone sends come when there is nothing else to do.
  const others = setImmediate(() => {
    for (const name of Object.keys(constants.signals) as NodeJS.Signals[]) {
      if (!OURS.has(name) && !FAULTS.has(name) && !FIRST.includes(name)) register(name);
    }
  });
  return () => {
    clearImmediate(others);
    for (const [name, handler] of registered) process.off(name, handler);
  };
}
