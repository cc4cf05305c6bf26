import type { EventLog } from '#/state/events.ts';
import type { ImageRecord } from './image-records.ts';

/** Tells what happened to an image; `name` is the reference or id that it happened under. */
export function publishImageEvent(
  events: EventLog,
  action: 'delete' | 'import' | 'load' | 'pull' | 'push' | 'save' | 'tag' | 'untag',
  image: Pick<ImageRecord, 'id' | 'config'>,
  name: string,
): void {
  const attributes = { ...image.config.config?.Labels, name };
  events.publish({ type: 'image', action, id: image.id, attributes });
}
