import type { Command } from '../command.ts';
import { containerListing, type ContainerRow } from '../container/container-listing.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { type Listing, printListing, truncateId } from '../format/listing.ts';
import { decimalSize, goTime, humanDuration } from '../format/units.ts';
import { imageListing, imageRows, type ImageSummary } from '../image/image-listing.ts';
import { volumeListing, type VolumeRow } from '../volume/volume-listing.ts';

interface BuildCacheRow {
  ID: string;
  Type: string;
  Size: number;
  CreatedAt?: string;
  LastUsedAt?: string | null;
  UsageCount?: number;
  InUse: boolean;
  Shared: boolean;
  Parent?: string;
  Description?: string;
}

export interface DiskUsage {
  LayersSize?: number;
  Images?: ImageSummary[] | null;
  Containers?: ContainerRow[] | null;
  Volumes?: VolumeRow[] | null;
  BuildCache?: BuildCacheRow[] | null;
}

const ago = (timestamp: string | null | undefined): string =>
  timestamp ? `${humanDuration((Date.now() - Date.parse(timestamp)) / 1000)} ago` : '';

export const buildCacheListing: Listing<BuildCacheRow> = {
  type: '*formatter.buildCacheContext',
  quiet: 'ID',
  table: ['ID', 'CacheType', 'Size', 'CreatedSince', 'LastUsedSince', 'UsageCount', 'Shared'],
  fields: {
    ID: {
      header: 'CACHE ID',
      value: (row, full) => `${full ? row.ID : truncateId(row.ID)}${row.InUse ? '*' : ''}`,
    },
    Parent: {
      header: 'PARENT',
      value: (row, full) => (full ? row.Parent : truncateId(row.Parent ?? '')) ?? '',
    },
    CacheType: { header: 'CACHE TYPE', value: (row) => row.Type },
    Description: { header: 'DESCRIPTION', value: (row) => row.Description ?? '' },
    InUse: { header: 'IN USE', value: (row) => String(row.InUse) },
    Shared: { header: 'SHARED', value: (row) => String(row.Shared) },
    Size: { header: 'SIZE', value: (row) => decimalSize(row.Size, 3) },
    CreatedAt: { header: 'CREATED AT', value: (row) => goTime(row.CreatedAt ?? '') },
    CreatedSince: { header: 'CREATED', value: (row) => ago(row.CreatedAt) },
    LastUsedAt: { header: 'LAST USED AT', value: (row) => goTime(row.LastUsedAt ?? '') },
    LastUsedSince: { header: 'LAST USED', value: (row) => ago(row.LastUsedAt) },
    UsageCount: { header: 'USAGE', value: (row) => String(row.UsageCount ?? 0) },
  },
};

/** What was not used for longest comes first. */
export function buildCacheRows({ BuildCache }: DiskUsage): BuildCacheRow[] {
  const used = (row: BuildCacheRow): number => (row.LastUsedAt ? Date.parse(row.LastUsedAt) : 0);
  return (BuildCache ?? []).toSorted((a, b) => used(a) - used(b) || a.Size - b.Size);
}

interface UsageRow {
  type: string;
  total: number;
  active: number;
  size: number;
  reclaimable: number;
  percent: boolean;
}

const usageListing: Listing<UsageRow> = {
  type: '*formatter.diskUsageContext',
  quiet: 'Type',
  table: ['Type', 'TotalCount', 'Active', 'Size', 'Reclaimable'],
  fields: {
    Type: { header: 'TYPE', value: (row) => row.type },
    TotalCount: { header: 'TOTAL', value: (row) => String(row.total) },
    Active: { header: 'ACTIVE', value: (row) => String(row.active) },
    Size: { header: 'SIZE', value: (row) => decimalSize(row.size) },
    Reclaimable: {
      header: 'RECLAIMABLE',
      value: ({ reclaimable, size, percent }) => {
        const share = size > 0 && percent ? ` (${Math.trunc((reclaimable * 100) / size)}%)` : '';
        return `${decimalSize(reclaimable)}${share}`;
      },
    },
  },
};

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
${LIST_FORMAT}
  -v, --verbose  Show detailed information on space usage
`,
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal }) {
    const usage = await client.json<DiskUsage>('GET', '/system/df');
    const format = flags.string('format');
    const options = { format: '', quiet: false, full: false };
    if (!flags.bool('verbose')) {
      await printListing(terminal, usageListing, usageRows(usage), { ...options, format });
      return;
    }
    if (format !== '' && format !== 'table') {
      const { printVerboseDocument } = await import('./df-document.ts');
      printVerboseDocument(terminal, format, usage);
      return;
    }
    terminal.out('Images space usage:\n\n');
    const images = {
      ...imageListing,
      table: ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size', 'SharedSize', 'UniqueSize', 'Containers'],
    };
    await printListing(terminal, images, imageRows(usage.Images ?? [], false), options);
    terminal.out('\nContainers space usage:\n\n');
    const containers = {
      ...containerListing,
      table: ['ID', 'Image', 'Command', 'LocalVolumes', 'Size', 'RunningFor', 'Status', 'Names'],
    };
    const rows = (usage.Containers ?? []).map((row) => ({ ...row, SizeRootFs: 0 }));
    await printListing(terminal, containers, rows, options);
    terminal.out('\nLocal Volumes space usage:\n\n');
    await printListing(
      terminal,
      { ...volumeListing, table: ['Name', 'Links', 'Size'] },
      usage.Volumes ?? [],
      options,
    );
    const cache = (usage.BuildCache ?? []).filter((record) => !record.Shared);
    terminal.out(`\nBuild cache usage: ${decimalSize(sum(cache.map(({ Size }) => Size)))}\n\n`);
    await printListing(terminal, buildCacheListing, buildCacheRows(usage), options);
  },
};

function usageRows(usage: DiskUsage): UsageRow[] {
  const images = usage.Images ?? [];
  const containers = usage.Containers ?? [];
  const volumes = (usage.Volumes ?? []).map(({ UsageData }) => UsageData ?? { Size: 0, RefCount: 0 });
  const cache = usage.BuildCache ?? [];
  const activeImages = images.filter((image) => (image.Containers ?? 0) > 0);
  const usedByActive = sum(
    activeImages.map((image) => (image.Size < 0 ? 0 : image.Size - Math.max(0, image.SharedSize ?? 0))),
  );
  const layers = usage.LayersSize ?? 0;
  const isActive = (state: string): boolean => ['running', 'paused', 'restarting'].includes(state);
  const own = (rows: readonly ContainerRow[]): number => sum(rows.map((row) => row.SizeRw ?? 0));
  return [
    {
      type: 'Images',
      total: images.length,
      active: activeImages.length,
      size: layers,
      reclaimable: Math.max(0, layers - usedByActive),
      percent: true,
    },
    {
      type: 'Containers',
      total: containers.length,
      active: containers.filter((row) => isActive(row.State)).length,
      size: own(containers),
      reclaimable: own(containers.filter((row) => !isActive(row.State))),
      percent: true,
    },
    {
      type: 'Local Volumes',
      total: volumes.length,
      active: volumes.filter(({ RefCount }) => RefCount > 0).length,
      size: sum(volumes.map(({ Size }) => Math.max(0, Size))),
      reclaimable: sum(volumes.filter(({ RefCount }) => RefCount === 0).map(({ Size }) => Math.max(0, Size))),
      percent: true,
    },
    {
      type: 'Build Cache',
      total: cache.length,
      active: cache.filter(({ InUse }) => InUse).length,
      size: sum(cache.filter(({ Shared }) => !Shared).map(({ Size }) => Size)),
      reclaimable: sum(cache.filter(({ Shared, InUse }) => !Shared && !InUse).map(({ Size }) => Size)),
      percent: false,
    },
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
