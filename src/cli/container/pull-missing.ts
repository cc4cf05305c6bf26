import { ApiError } from '#/api/client/api-client.ts';
import { showProgress } from '../format/progress.ts';
import type { CommandContext } from '../command.ts';
import { parseImageName } from '../image/image-name.ts';
import { registryAuth } from '../image/registry-auth.ts';

export interface PullOptions {
  image: string;
  platform: string;
  quiet: boolean;
}

/** Pulls an image, its progress on stderr: stdout belongs to the container. */
export async function pullForCreate(
  { client, terminal, config }: CommandContext,
  options: PullOptions,
): Promise<void> {
  const name = parseImageName(options.image);
  const { body } = await client.request('POST', '/images/create', {
    query: {
      fromImage: name.repository,
      platform: options.platform || undefined,
      tag: name.digest ?? name.tag,
    },
    headers: registryAuth(config, name.registry),
  });
  const sink = options.quiet ? () => undefined : (text: string) => terminal.err(text);
  await showProgress(body, sink, !options.quiet && terminal.isTerminal(2));
}

/** Whether `error` says that the image itself is what is missing. */
export function isMissingImage(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.detail.includes('No such image');
}
