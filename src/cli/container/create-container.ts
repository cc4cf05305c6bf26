import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { errnoCode, messageOf } from '#/base/errors.ts';
import type { CommandContext } from '../command.ts';
import { parseImageName } from '../image/image-name.ts';
import type { CreateBody } from './create-body.ts';
import { isMissingImage, pullForCreate } from './pull-missing.ts';

interface CreateResponse {
  Id: string;
  Warnings?: string[] | null;
}

/** Creates a container, pulling its image first as `--pull` says; warnings go to stderr, the id into `--cidfile`. */
export async function createContainer(context: CommandContext, body: CreateBody): Promise<string> {
  const { flags, client, terminal } = context;
  const name = parseImageName(body.Image);
  const pull = flags.string('pull') || 'missing';
  const platform = await normalPlatform(flags.string('platform'));
  const options = { image: body.Image, platform: flags.string('platform'), quiet: flags.bool('quiet') };
  using idFile = new IdFile(flags.string('cidfile'));
  const query = { name: flags.string('name') || undefined, platform };
  const create = (): Promise<CreateResponse> =>
    client.json<CreateResponse>('POST', '/containers/create', { query, body });
  let created: CreateResponse;
  if (pull === 'always') await pullForCreate(context, options);
  try {
    created = await create();
  } catch (error) {
    if (pull !== 'missing' || !isMissingImage(error)) throw error;
    if (!options.quiet) terminal.err(`Unable to find image '${name.familiar}' locally\n`);
    await pullForCreate(context, options);
    created = await create();
  }
  const warnings = [...(created.Warnings ?? []), ...localDnsWarning(flags.list('dns'))];
  for (const warning of warnings) terminal.err(`WARNING: ${warning}\n`);
  idFile.write(created.Id);
  return created.Id;
}

/** `linux/aarch64` in the daemon's words, which are Go's. */
async function normalPlatform(text: string): Promise<string | undefined> {
  if (text === '') return undefined;
  const { formatPlatform, parsePlatform } = await import('#/oci/platform.ts');
  try {
    return formatPlatform(parsePlatform(text));
  } catch (error) {
    throw new Error(`error parsing specified platform: ${messageOf(error)}`, { cause: error });
  }
}

/** A server on the host's own loopback is none that a container reaches. */
function localDnsWarning(servers: readonly string[]): string[] {
  const local = servers.find((server) => server === '::1' || server.startsWith('127.'));
  return local === undefined ? [] : [`Localhost DNS (${local}) may fail in containers.`];
}

/** `--cidfile`: taken before the container exists, so that two runs cannot share one, and removed when none came of it. */
class IdFile implements Disposable {
  readonly #file: string;
  readonly #fd: number | undefined;
  #written = false;

  constructor(file: string) {
    this.#file = file;
    if (file === '') return;
    if (statSync(file, { throwIfNoEntry: false })) {
      throw new Error(
        `container ID file found, make sure the other container isn't running or delete ${file}`,
      );
    }
    try {
      this.#fd = openSync(file, 'wx', 0o666);
    } catch (error) {
      const reason = errnoCode(error) === 'ENOENT' ? 'no such file or directory' : messageOf(error);
      throw new Error(`failed to create the container ID file: open ${file}: ${reason}`, { cause: error });
    }
  }

  write(id: string): void {
    if (this.#fd === undefined) return;
    writeSync(this.#fd, id);
    this.#written = true;
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    if (!this.#written) rmSync(this.#file, { force: true });
  }
}
