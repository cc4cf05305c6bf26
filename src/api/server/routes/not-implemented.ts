import { OPERATIONS } from '#/wire/generated-operations.ts';
import { notImplemented } from '#/base/errors.ts';
import { route, type Route } from '../router.ts';

const SWARM = /^\/(swarm|nodes|services|tasks|secrets|configs)(\/|$)/;

/** Every operation of the API description, to stand behind those that Hull does: none is a mute "page not found". */
export const notImplementedRoutes: readonly Route[] = OPERATIONS.map(([method, path, summary]) =>
  route(method, path, () => {
    const reason = SWARM.test(path)
      ? 'Hull has no swarm mode; it is driven by Kubernetes instead'
      : 'Hull does not do this';
    throw notImplemented(`${reason}: ${summary.replace(/\.$/, '')} (${method} ${path})`);
  }),
);
