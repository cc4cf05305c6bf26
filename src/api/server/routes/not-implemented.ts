import { OPERATIONS } from '#/wire/generated-operations.ts';
import { notImplemented } from '#/base/errors.ts';
import { route, type Route } from '../router.ts';

const SWARM = /^\/(swarm|nodes|services|tasks|secrets|configs)(\/|$)/;

/** The message of what Hull does not do. */
export function refusal(method: string, path: string, summary: string): string {
  const reason = SWARM.test(path)
    ? 'Hull has no swarm mode; it is driven by Kubernetes instead'
    : 'Hull does not do this';
  return `${reason}: ${summary.replaceAll(/["\n]/g, '').replace(/\.$/, '')} (${method} ${path})`;
}

/** Every operation of the API description, to stand behind those that Hull does: none is a mute "page not found". */
export const notImplementedRoutes: readonly Route[] = OPERATIONS.map(([method, path, summary]) =>
  route(method, path, () => {
    throw notImplemented(refusal(method, path, summary));
  }),
);
