import type { Route } from '../router.ts';
import { containerCheckpointRoutes } from './container-checkpoints.ts';
import { containerFileRoutes } from './container-files.ts';
import { containerStreamRoutes } from './container-streams.ts';
import { containerRoutes } from './containers.ts';
import { execRoutes } from './execs.ts';
import { hullRoutes } from './hull.ts';
import { imageRoutes } from './images.ts';
import { networkRoutes } from './networks.ts';
import { notImplementedRoutes } from './not-implemented.ts';
import { systemRoutes } from './system.ts';
import { volumeRoutes } from './volumes.ts';

/** The whole API. Order decides: a container's name takes slashes too, and what answers 501 stands last. */
export const ROUTES: readonly Route[] = [
  ...systemRoutes,
  ...containerCheckpointRoutes,
  ...containerRoutes,
  ...containerStreamRoutes,
  ...containerFileRoutes,
  ...execRoutes,
  ...imageRoutes,
  ...volumeRoutes,
  ...networkRoutes,
  ...hullRoutes,
  ...notImplementedRoutes,
];
