import os from 'node:os';
import { internal, messageOf } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { UserNamespaces } from '#/container/start/user-namespaces.ts';
import { addSystemUser, findGroup, findUser, grantRange, subordinateIds } from '#/host/accounts.ts';
import { type IdMapping, mappingKey, mappingOfRanges } from '#/oci/id-mapping.ts';
import { nextStart, RANGE_LENGTH, rangesOf } from '#/oci/subordinate-ids.ts';

/** What `--userns-remap=default` stands for: a user made for this, the very one that dockerd makes. */
const DEFAULT_USER = 'dockremap';

/** The engine's user namespaces, as `--userns-remap` wants them. Throws when what it wants is not to be had on this host. */
export async function openUserNamespaces(options: {
  setting: string | undefined;
  program: string;
  directory: string;
  roots: readonly string[];
  logger: Logger;
}): Promise<UserNamespaces> {
  const { setting, logger, ...places } = options;
  const daemon = setting === undefined ? undefined : await remappedIds(setting);
  let own: Promise<IdMapping> | undefined;
  const userNamespaces = new UserNamespaces({
    ...places,
    daemon,
    own: () => (own ??= ownIds().catch((error: unknown) => ((own = undefined), Promise.reject(error)))),
    kernel: os.release(),
  });
  if (daemon !== undefined) {
    logger.info('Containers get user namespaces', { user: setting, ids: mappingKey(daemon) });
    userNamespaces.refuseImpossible(daemon);
  } else if (setting !== undefined) {
    logger.warn('User namespaces: root cannot be remapped with itself; user namespaces are OFF');
  }
  return userNamespaces;
}

async function ownIds(): Promise<IdMapping> {
  const mapping = await remappedIds('default');
  if (mapping === undefined) throw internal(`"${DEFAULT_USER}" is root on this host`);
  return mapping;
}

/**
 * The mapping of `--userns-remap`: `default`, or `USER[:GROUP]`, each a name or a number of this host. Undefined for root, who
 * cannot be mapped to himself. Throws in dockerd's words (moby's daemon/daemon_unix.go, parseRemappedRoot()).
 */
export async function remappedIds(setting: string): Promise<IdMapping | undefined> {
  const [userPart = '', groupPart, ...rest] = setting.split(':');
  if (rest.length > 0) {
    throw new Error(`Invalid user/group specification in --userns-remap: ${JSON.stringify(setting)}`);
  }
  const user = await remappedUser(userPart);
  // The group is looked up for the sake of whoever mistyped it; the ranges are the user's, as they are with dockerd.
  await checkGroup(groupPart ?? (isNumber(userPart) ? userPart : user.name), groupPart);
  if (user.name === 'root') return undefined;
  const { uids, gids } = subordinateIds();
  const ranges = { uids: rangesOf(uids, user), gids: rangesOf(gids, user) };
  for (const [kind, found] of [
    ['subuid', ranges.uids],
    ['subgid', ranges.gids],
  ] as const) {
    if (found.length > 0) continue;
    throw new Error(
      `Can't create ID mappings: no ${kind} ranges found for user ${JSON.stringify(user.name)}`,
    );
  }
  return mappingOfRanges(ranges.uids, ranges.gids);
}

async function remappedUser(key: string): Promise<{ name: string; uid: number }> {
  const name = key === 'default' ? DEFAULT_USER : key;
  const found = key === '' ? undefined : await findUser(name);
  if (key === 'default') {
    if (found === undefined) await makeDefaultUser();
    await grantMissingRanges();
    return found ?? remappedUser(DEFAULT_USER);
  }
  if (found !== undefined) return found;
  throw new Error(
    isNumber(key)
      ? `Uid ${key} has no entry in /etc/passwd`
      : `Error during uid lookup for ${JSON.stringify(name)}: no such user`,
  );
}

async function checkGroup(key: string, given: string | undefined): Promise<void> {
  if ((await findGroup(key)) !== undefined) return;
  if (isNumber(key)) throw new Error(`Gid ${key} has no entry in /etc/group`);
  throw new Error(
    `Error during ${given === undefined ? 'gid' : 'groupname'} lookup for ${JSON.stringify(key)}: no such group`,
  );
}

async function makeDefaultUser(): Promise<void> {
  try {
    await addSystemUser(DEFAULT_USER);
  } catch (error) {
    throw new Error(`Error during "${DEFAULT_USER}" user creation: ${messageOf(error)}`, { cause: error });
  }
}

async function grantMissingRanges(): Promise<void> {
  const user = await findUser(DEFAULT_USER);
  if (user === undefined) throw new Error(`Error during "${DEFAULT_USER}" user creation: it is not there`);
  const { uids, gids } = subordinateIds();
  if (rangesOf(uids, user).length === 0) await grantRange(user.name, 'v', nextStart(uids), RANGE_LENGTH);
  if (rangesOf(gids, user).length === 0) await grantRange(user.name, 'w', nextStart(gids), RANGE_LENGTH);
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}
