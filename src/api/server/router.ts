import type { Engine } from './engine.ts';
import type { Exchange } from './exchange.ts';

export type Handler = (exchange: Exchange, engine: Engine) => Promise<void> | void;

export interface Route {
  method: string;
  /** `/containers/{id}/json`; a parameter takes slashes too, because images have them in their names. */
  path: string;
  handler: Handler;
}

export const route = (method: string, path: string, handler: Handler): Route => ({ method, path, handler });

interface Compiled {
  route: Route;
  pattern: RegExp;
}

/** Finds a request's route. Order decides: what stands first in the table wins. */
export class Router {
  readonly #routes: Compiled[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((entry) => ({ route: entry, pattern: compile(entry.path) }));
  }

  /** `path` is without version and unescaped. */
  find(method: string, path: string): { handler: Handler; parameters: Record<string, string> } | undefined {
    for (const { route: candidate, pattern } of this.#routes) {
      if (candidate.method !== method) continue;
      const match = pattern.exec(path);
      if (match !== null) return { handler: candidate.handler, parameters: { ...match.groups } };
    }
    return undefined;
  }
}

function compile(path: string): RegExp {
  const escaped = path.replaceAll('.', '\\.');
  return new RegExp(`^${escaped.replaceAll(/\{(\w+)\}/g, '(?<$1>.+?)')}$`, 's');
}
