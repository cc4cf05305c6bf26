import { type Listing, truncateId } from '../format/listing.ts';
import { decimalSize, humanDuration, localTime } from '../format/units.ts';

/** What GET /images/json says of an image, as far as tables show it. */
export interface ImageSummary {
  Id: string;
  RepoTags?: string[] | null;
  RepoDigests?: string[] | null;
  Created: number;
  Size: number;
  SharedSize?: number;
  Containers?: number;
}

/** One name of an image; `<none>` where it has none. */
export interface ImageRow extends ImageSummary {
  Repository: string;
  Tag: string;
  Digest: string;
}

const NONE = '<none>';

export const imageListing: Listing<ImageRow> = {
  type: '*formatter.imageContext',
  quiet: 'ID',
  table: ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size'],
  raw: {
    repository: 'Repository',
    tag: 'Tag',
    image_id: 'ID',
    created_at: 'CreatedAt',
    virtual_size: 'Size',
  },
  fields: {
    ID: { header: 'IMAGE ID', value: (row, full) => (full ? row.Id : truncateId(row.Id)) },
    Repository: { header: 'REPOSITORY', value: (row) => row.Repository },
    Tag: { header: 'TAG', value: (row) => row.Tag },
    Digest: { header: 'DIGEST', value: (row) => row.Digest },
    CreatedSince: {
      header: 'CREATED',
      value: (row) => (row.Created <= 0 ? 'N/A' : `${humanDuration(Date.now() / 1000 - row.Created)} ago`),
    },
    CreatedAt: { header: 'CREATED AT', value: (row) => localTime(row.Created * 1000) },
    Size: { header: 'SIZE', value: (row) => decimalSize(row.Size, 3) },
    Containers: {
      header: 'CONTAINERS',
      value: (row) => (row.Containers === undefined || row.Containers < 0 ? 'N/A' : String(row.Containers)),
    },
    VirtualSize: { header: 'SIZE', value: (row) => decimalSize(row.Size) },
    SharedSize: { header: 'SHARED SIZE', value: (row) => shared(row, (bytes) => bytes) },
    UniqueSize: { header: 'UNIQUE SIZE', value: (row) => shared(row, (bytes) => row.Size - bytes) },
  },
};

function shared(row: ImageSummary, of: (shared: number) => number): string {
  return row.SharedSize === undefined || row.SharedSize < 0 ? 'N/A' : decimalSize(of(row.SharedSize));
}

/** A row for each name an image has; with `digests`, one for each name and digest that belong together. */
export function imageRows(images: readonly ImageSummary[], digests: boolean): ImageRow[] {
  return images.flatMap((image) => {
    const tags = (image.RepoTags ?? []).filter((tag) => !tag.startsWith(NONE)).map((tag) => cut(tag, ':'));
    const known = (image.RepoDigests ?? [])
      .filter((name) => !name.startsWith(NONE))
      .map((name) => cut(name, '@'));
    const rows: ImageRow[] = [];
    const row = (Repository: string, Tag: string, Digest: string): void => {
      rows.push({ ...image, Repository, Tag, Digest });
    };
    for (const [repository, tag] of tags) {
      const own = known.filter(([name]) => name === repository);
      if (!digests || own.length === 0) row(repository, tag, NONE);
      else for (const [, digest] of own) row(repository, tag, digest);
    }
    // Digests whose repository has no tag here stand alone.
    for (const [repository, digest] of known) {
      if (!tags.some(([name]) => name === repository)) row(repository, NONE, digest);
    }
    if (rows.length === 0) row(NONE, NONE, NONE);
    return rows;
  });
}

function cut(name: string, separator: string): [string, string] {
  const at = name.lastIndexOf(separator);
  return [name.slice(0, at), name.slice(at + 1)];
}
