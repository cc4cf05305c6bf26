import { invalid, messageOf } from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import type { Logger } from '#/base/log.ts';
import type { Container } from '../containers.ts';
import type { Lifecycle } from '../lifecycle.ts';

/** A label, so that every client can set it: Docker itself only tells that a container is unhealthy. */
export const ON_UNHEALTHY = 'hull.on-unhealthy';

type Action = 'none' | 'restart' | 'stop';

const ACTIONS: readonly string[] = ['none', 'restart', 'stop'] satisfies Action[];

/** What is to be done with a container whose health check fails. Throws `invalid` for what Hull cannot do. */
export function onUnhealthy(labels: Readonly<Record<string, string>> | undefined): Action {
  const action = labels?.[ON_UNHEALTHY] ?? 'none';
  if (!ACTIONS.includes(action)) {
    throw invalid(`invalid label ${ON_UNHEALTHY}="${action}": use "restart", "stop" or "none"`);
  }
  return action as Action;
}

/** Called for each failed probe of an unhealthy container. */
export async function actOnUnhealthy(
  lifecycle: Lifecycle,
  logger: Logger,
  { id, record }: Container,
): Promise<void> {
  try {
    const action = onUnhealthy(record.config.Labels);
    if (action === 'none') return;
    logger.info('A container is unhealthy', { id: shortId(id), action });
    if (action === 'restart') await lifecycle.restart(id);
    else await lifecycle.stop(id);
  } catch (error) {
    logger.warn('Cannot act on an unhealthy container', { id: shortId(id), error: messageOf(error) });
  }
}
