/** What a tar may hold before it is refused, so that a small hostile file cannot fill memory or disk. */
export interface TarLimits {
  /** Members in all. */
  members: number;
  /** Bytes of one path, as the kernel's PATH_MAX. */
  pathLength: number;
  /** Bytes of one name, as every Linux filesystem's NAME_MAX. */
  nameLength: number;
  /** Components of one path. */
  depth: number;
  /** Bytes of one extended header or long name: what Go's archive/tar allows. */
  extendedHeader: number;
  /** Bytes of the xattrs of one member. */
  xattrs: number;
  /** Ranges of one sparse file. */
  sparseRanges: number;
  /** Bytes of file data in all, holes not counted. */
  data: number;
}

export const DEFAULT_LIMITS: TarLimits = {
  members: 4_000_000,
  pathLength: 4096,
  nameLength: 255,
  depth: 1024,
  extendedHeader: 1 << 20,
  xattrs: 1 << 16,
  sparseRanges: 1 << 20,
  data: 2 ** 42,
};
