import { notFound, notImplemented } from '#/base/errors.ts';
import type { GuestFiles } from '#/runtime/runtime.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';

/** The files of a container that has a kernel of its own, for a while. */
export interface OpenGuest extends AsyncDisposable {
  readonly files: GuestFiles;
}

/** Its guest shows them while it runs. */
export async function openGuest(context: ContainerContext, container: Container): Promise<OpenGuest> {
  await using stack = new AsyncDisposableStack();
  stack.use(await context.locks.acquire(container.id));
  if (context.containers.byId(container.id) !== container)
    throw notFound(`No such container: ${container.id}`);
  const files = container.task?.files;
  if (files === undefined) {
    throw notImplemented("a stopped microVM's files cannot be looked into: start it first");
  }
  return { files, [Symbol.asyncDispose]: async () => {} };
}
