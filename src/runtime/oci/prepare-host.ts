import type { Logger } from '#/base/log.ts';
import {
  favorDynamicModifications,
  moveControllersToV1,
  readCgroupLayout,
  type CgroupLayout,
} from '#/host/cgroup-layout.ts';

import type { OciRuntime } from './oci-runtime.ts';

/** Makes a hybrid host such that crun runs there, and cgroups quick; returns them as they are then. */
export async function prepareHost(logger: Logger): Promise<CgroupLayout> {
  const layout = readCgroupLayout();
  if (!(await favorDynamicModifications(layout))) {
    logger.debug(
      'The kernel was not made to favor dynamic cgroup modifications: starts take some milliseconds more',
    );
  }
  if (layout.version !== 1 || layout.unifiedControllers.length === 0) return layout;
  const moved = await moveControllersToV1(layout);
  logger.info(
    'This host mixes both cgroup versions: controllers were moved from v2 to v1, so that crun can run',
    {
      controllers: moved.join(','),
    },
  );
  return readCgroupLayout();
}

/** The first of these runtimes that works here; each that does not is logged with its reason. */
export async function chooseRuntime(
  candidates: readonly OciRuntime[],
  systemd: boolean,
  logger: Logger,
): Promise<OciRuntime | undefined> {
  for (const candidate of candidates) {
    const result = await candidate.probe(systemd);
    if (result.works) return candidate;
    logger.warn(`The runtime "${candidate.name}" cannot run containers on this host`, {
      reason: result.reason,
    });
  }
  return undefined;
}
