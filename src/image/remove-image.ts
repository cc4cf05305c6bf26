import { conflict } from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import { digestHex, type Digest } from '#/oci/digest.ts';
import {
  familiarReference,
  parseReference,
  repositoryName,
  type Reference,
  withDefaultTag,
} from '#/oci/reference.ts';
import type { EventLog } from '#/state/events.ts';
import type { ImageDeleteResponseItem } from '#/wire/generated.ts';
import { chainIds } from './chain-id.ts';
import { publishImageEvent } from './image-events.ts';
import type { ImageLayers } from './image-layers.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';
import type { ImageUsers } from './image-users.ts';

/**
 * Removes a name of an image or the image itself by Docker's rules (moby's daemon/images/image_delete.go), which scripts
 * rely on: a name goes first, and with the last name the image; an id takes the image with its only name. `force` overrides the
 * soft conflicts, which are further names and stopped containers; a running container or an image built on it cannot be
 * overridden. Without `noPrune` untagged parents go too.
 */
export class ImageRemover {
  readonly #records: ImageRecords;
  readonly #layers: ImageLayers;
  readonly #users: ImageUsers;
  readonly #events: EventLog;

  constructor(options: { records: ImageRecords; layers: ImageLayers; users: ImageUsers; events: EventLog }) {
    this.#records = options.records;
    this.#layers = options.layers;
    this.#users = options.users;
    this.#events = options.events;
  }

  async remove(
    name: string,
    options: { force?: boolean; noPrune?: boolean } = {},
  ): Promise<ImageDeleteResponseItem[]> {
    const { force = false, noPrune = false } = options;
    const image = this.#records.resolve(name);
    const done = new Removal();
    if (isIdPrefix(image.id, name)) {
      const references = this.#records.references(image.id);
      if (isSingleReference(references)) {
        const found = this.#conflict(image.id, { references: false, stopped: !force });
        if (found !== undefined) throw found.error;
        for (const reference of references) this.#untag(image, reference, done);
      }
      this.#delete(image, { force, prune: !noPrune, quiet: false }, done);
    } else if (this.#removeName(image, name, force, done)) {
      this.#delete(image, { force, prune: !noPrune, quiet: true }, done);
    }
    // The layers are gone for everyone at once; the kernel's freeing of their space holds nobody up.
    this.#layers.collectSoon(done.layers);
    return done.items;
  }

  /** Whether no name is left. */
  #removeName(image: ImageRecord, name: string, force: boolean, done: Removal): boolean {
    if (!force && isSingleReference(this.#records.references(image.id))) {
      const user = this.#users.usersOf(image.id)[0];
      if (user !== undefined) {
        throw conflict(
          `conflict: unable to remove repository reference ${JSON.stringify(name)} (must force) - container ${shortId(user.id)} is using its referenced image ${shortImageId(image.id)}`,
        );
      }
    }
    const removed = withDefaultTag(parseReference(name));
    this.#untag(image, removed, done);
    const left = this.#records.references(image.id);
    const sameRepository = left.filter((reference) => repositoryName(reference) === repositoryName(removed));
    // With a repository's last tag its digests go: nobody would find them again.
    if (removed.digest === undefined && sameRepository.every((reference) => reference.digest !== undefined)) {
      for (const reference of sameRepository) this.#untag(image, reference, done, false);
      return left.length === sameRepository.length;
    }
    return left.length === 0;
  }

  #untag(image: ImageRecord, reference: Reference, done: Removal, tell = true): void {
    this.#records.unpoint(reference);
    if (tell) publishImageEvent(this.#events, 'untag', image, image.id);
    done.items.push({ Untagged: familiarReference(reference) });
  }

  #delete(
    image: ImageRecord,
    options: { force: boolean; prune: boolean; quiet: boolean },
    done: Removal,
  ): void {
    const soft = !options.force;
    const found = this.#conflict(image.id, { references: soft, stopped: soft });
    if (found !== undefined) {
      // After an untag, or for a parent, only what a client can see is worth an error.
      const dangling =
        this.#records.references(image.id).length === 0 && this.#records.children(image.id).length === 0;
      if (options.quiet && (!dangling || found.used)) return;
      throw found.error;
    }
    for (const reference of this.#records.references(image.id)) this.#untag(image, reference, done, false);
    this.#records.delete(image.id);
    publishImageEvent(this.#events, 'delete', image, image.id);
    done.items.push({ Deleted: image.id });
    const stillUsed = new Set<Digest>(this.#records.all().flatMap((other) => chainIds(other.layers)));
    const held = new Set<Digest>(this.#users.layersInUse());
    const chain = chainIds(image.layers);
    for (let i = chain.length - 1; i >= 0; i -= 1) {
      const chainId = chain[i];
      const diffId = image.layers[i];
      if (chainId === undefined || diffId === undefined || stillUsed.has(chainId) || held.has(diffId))
        continue;
      done.items.push({ Deleted: chainId });
      done.layers.add(diffId);
    }
    const parent = image.parent === undefined ? undefined : this.#records.get(image.parent);
    if (options.prune && parent !== undefined) {
      this.#delete(parent, { force: false, prune: true, quiet: true }, done);
    }
  }

  #conflict(
    id: Digest,
    soft: { references: boolean; stopped: boolean },
  ): { error: Error; used: boolean } | undefined {
    const refuse = (hard: boolean, reason: string, used = false) => ({
      error: conflict(
        `conflict: unable to delete ${shortImageId(id)} (${hard ? 'cannot be forced' : 'must be forced'}) - ${reason}`,
      ),
      used,
    });
    if (this.#records.children(id).length > 0) return refuse(true, 'image has dependent child images');
    const users = this.#users.usersOf(id);
    const running = users.find((user) => user.running);
    if (running !== undefined) {
      return refuse(true, `image is being used by running container ${shortId(running.id)}`, true);
    }
    if (soft.references && this.#records.references(id).length > 0) {
      return refuse(false, 'image is referenced in multiple repositories');
    }
    const stopped = users[0];
    if (soft.stopped && stopped !== undefined) {
      return refuse(false, `image is being used by stopped container ${shortId(stopped.id)}`, true);
    }
    return undefined;
  }
}

class Removal {
  readonly items: ImageDeleteResponseItem[] = [];
  /** Diff ids that may be garbage now. */
  readonly layers = new Set<Digest>();
}

export function shortImageId(id: Digest): string {
  return shortId(digestHex(id));
}

function isIdPrefix(id: Digest, text: string): boolean {
  return id.startsWith(text) || digestHex(id).startsWith(text);
}

/** Whether there is at most one tag, and all digests are of its repository. */
function isSingleReference(references: readonly Reference[]): boolean {
  if (references.length <= 1) return true;
  const tags = references.filter((reference) => reference.digest === undefined);
  if (tags.length > 1) return false;
  const repositories = new Set(
    references.filter((reference) => reference.digest !== undefined).map(repositoryName),
  );
  const single = tags[0] ?? references[0];
  return repositories.size === 1 && single !== undefined && repositories.has(repositoryName(single));
}
