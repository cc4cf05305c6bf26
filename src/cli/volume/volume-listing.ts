import { joinLabels, type Listing } from '../format/listing.ts';
import { decimalSize } from '../format/units.ts';

export interface VolumeRow {
  Name: string;
  Driver: string;
  Scope?: string;
  Mountpoint?: string;
  Labels?: Record<string, string> | null;
  Status?: Record<string, unknown> | null;
  UsageData?: { Size: number; RefCount: number } | null;
}

export const volumeListing: Listing<VolumeRow> = {
  type: '*formatter.volumeContext',
  quiet: 'Name',
  table: ['Driver', 'Name'],
  raw: { name: 'Name', driver: 'Driver' },
  fields: {
    Name: { header: 'VOLUME NAME', value: (row) => row.Name },
    Driver: { header: 'DRIVER', value: (row) => row.Driver },
    Scope: { header: 'SCOPE', value: (row) => row.Scope ?? '' },
    Mountpoint: { header: 'MOUNTPOINT', value: (row) => row.Mountpoint ?? '' },
    Labels: { header: 'LABELS', value: (row) => joinLabels(row.Labels) },
    Label: { header: '', value: (row) => (name: string) => row.Labels?.[name] ?? '', method: true },
    Links: { header: 'LINKS', value: (row) => (row.UsageData ? String(row.UsageData.RefCount) : 'N/A') },
    Size: { header: 'SIZE', value: (row) => (row.UsageData ? decimalSize(row.UsageData.Size) : 'N/A') },
    Status: { header: 'STATUS', value: () => 'N/A' },
    Group: { header: 'GROUP', value: () => 'N/A' },
    Availability: { header: 'AVAILABILITY', value: () => 'N/A' },
  },
};
