import { ellipsis, type Listing, joinLabels, truncateId } from '../format/listing.ts';
import { decimalSize, humanDuration, localTime } from '../format/units.ts';
import { displayPorts, type PublishedPort } from './ports.ts';

/** What GET /containers/json says of a container, as far as tables show it. */
export interface ContainerRow {
  Id: string;
  Names?: string[] | null;
  Image: string;
  ImageID?: string;
  Command: string;
  Created: number;
  Ports?: PublishedPort[] | null;
  Labels?: Record<string, string> | null;
  State: string;
  Status: string;
  SizeRw?: number;
  SizeRootFs?: number;
  Mounts?: { Type?: string; Name?: string; Source?: string; Driver?: string }[] | null;
  NetworkSettings?: { Networks?: Record<string, object> | null } | null;
  ImageManifestDescriptor?: { platform?: { os?: string; architecture?: string } | null } | null;
}

export const containerListing: Listing<ContainerRow> = {
  type: '*formatter.ContainerContext',
  quiet: 'ID',
  complaints: { parse: 'failed to parse template', execute: 'failed to execute template' },
  table: ['ID', 'Image', 'Command', 'RunningFor', 'Status', 'Ports', 'Names'],
  raw: {
    container_id: 'ID',
    image: 'Image',
    command: 'Command',
    created_at: 'CreatedAt',
    state: 'State',
    status: 'Status',
    names: 'Names',
    labels: 'Labels',
    ports: 'Ports',
  },
  fields: {
    ID: { header: 'CONTAINER ID', value: (row, full) => (full ? row.Id : truncateId(row.Id)) },
    Names: { header: 'NAMES', value: names },
    Image: { header: 'IMAGE', value: image },
    Command: {
      header: 'COMMAND',
      value: (row, full) => JSON.stringify(full ? row.Command : ellipsis(row.Command, 20)),
    },
    CreatedAt: { header: 'CREATED AT', value: (row) => localTime(row.Created * 1000) },
    RunningFor: {
      header: 'CREATED',
      value: (row) => `${humanDuration(Date.now() / 1000 - row.Created)} ago`,
    },
    Ports: { header: 'PORTS', value: (row) => displayPorts(row.Ports ?? []) },
    State: { header: 'STATE', value: (row) => row.State },
    Status: { header: 'STATUS', value: (row) => row.Status },
    Size: { header: 'SIZE', value: size },
    Labels: { header: 'LABELS', value: (row) => joinLabels(row.Labels) },
    Label: { header: '', value: (row) => (name: string) => row.Labels?.[name] ?? '', method: true },
    Mounts: {
      header: 'MOUNTS',
      value: (row, full) =>
        (row.Mounts ?? [])
          .map((mount) => mount.Name || mount.Source || '')
          .map((name) => (full ? name : ellipsis(name, 15)))
          .join(','),
    },
    LocalVolumes: {
      header: 'LOCAL VOLUMES',
      value: (row) => String((row.Mounts ?? []).filter((mount) => mount.Driver === 'local').length),
    },
    Networks: {
      header: 'NETWORKS',
      value: (row) => Object.keys(row.NetworkSettings?.Networks ?? {}).join(','),
    },
    Platform: {
      header: 'PLATFORM',
      value: ({ ImageManifestDescriptor }) => {
        const platform = ImageManifestDescriptor?.platform;
        return platform ? `${platform.os ?? ''}/${platform.architecture ?? ''}` : null;
      },
    },
  },
};

/** Without truncation the names that links gave it too. */
function names(row: ContainerRow, full: boolean): string {
  const stripped = (row.Names ?? []).map((name) => name.replace(/^\//, ''));
  return stripped.filter((name) => full || !name.includes('/')).join(',');
}

function image(row: ContainerRow, full: boolean): string {
  if (row.Image === '') return '<no image>';
  if (full) return row.Image;
  const id = row.ImageID ?? '';
  if (truncateId(id) === truncateId(row.Image)) return truncateId(id);
  // A digest says nothing to people where a name stands before it.
  return row.Image.replace(/^(.+)@sha256:[a-f0-9]{64}$/, '$1');
}

function size(row: ContainerRow): string {
  const own = decimalSize(row.SizeRw ?? 0, 3);
  return row.SizeRootFs ? `${own} (virtual ${decimalSize(row.SizeRootFs, 3)})` : own;
}
