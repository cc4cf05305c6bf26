import { mappedRoot, mappingKey } from '#/oci/id-mapping.ts';
import type { ContainerContext } from '../context.ts';
import type { ContainerRecord } from '../record.ts';
import type { MappedOwners } from './rootfs.ts';

type Owned = Pick<ContainerRecord, 'id' | 'idMapping'>;

/** Mounts a container's root filesystem if it is not mounted; owners are as its user namespace has them. */
export async function mountRootfs(
  context: ContainerContext,
  record: Owned,
  options: { volatile?: boolean } = {},
): Promise<string> {
  const { rootfs } = context;
  const owners = await mappedOwners(context, record);
  return rootfs.mount(record.id, { ...options, ...(owners === undefined ? {} : { owners }) });
}

/** As whose the files of images are shown to a container; undefined for one without a user namespace. */
export async function mappedOwners(
  { userNamespaces }: ContainerContext,
  { idMapping }: Owned,
): Promise<MappedOwners | undefined> {
  if (idMapping === undefined) return undefined;
  return {
    key: mappingKey(idMapping),
    namespace: await userNamespaces.keep(idMapping),
    root: mappedRoot(idMapping),
  };
}
