/** The two walls a container may stand behind, in the words of `HostConfig.Isolation`. */
export const WALLS = ['container', 'vm'] as const;
export type Wall = (typeof WALLS)[number];

/** What was measured, each in its unit; of MB and MB/s a million bytes. */
export const MEASURES = [
  {
    name: 'firstOutput',
    title: 'create to first output',
    unit: 'ms',
    better: 'less',
    how: 'from the request that creates it to the first byte it writes',
  },
  {
    name: 'exec',
    title: 'exec in a running one',
    unit: 'ms',
    better: 'less',
    how: 'from the request that makes the exec to the end of its output',
  },
  {
    name: 'memory',
    title: 'memory of an idle one',
    unit: 'MB',
    better: 'less',
    how: "what the host's cgroup of it holds: behind a VM's wall QEMU and the guest's touched pages (`vm_host_usage` of stats)",
  },
  {
    name: 'density',
    title: 'idle ones in free memory',
    unit: '',
    better: 'more',
    how: "the host's available memory by that of an idle one: by memory alone",
  },
  {
    name: 'writable',
    title: 'disk of an idle one',
    unit: 'MB',
    better: 'less',
    how: 'SizeRw: what it has written above the image, which all share',
  },
  {
    name: 'systemCall',
    title: 'one system call',
    unit: 'µs',
    better: 'less',
    how: 'an exec of dd that copies single bytes from /dev/zero to /dev/null, two calls a byte, less the quickest empty exec',
  },
  {
    name: 'diskWrite',
    title: 'disk, written and synced',
    unit: 'MB/s',
    better: 'more',
    how: 'an exec of dd that writes 32 MiB with conv=fsync, less the quickest empty exec',
  },
  {
    name: 'roundTrip',
    title: 'network round trip',
    unit: 'ms',
    better: 'less',
    how: 'ping of the gateway, average of 10',
  },
  {
    name: 'download',
    title: 'network, received',
    unit: 'MB/s',
    better: 'more',
    how: 'an exec of wget that fetches 32 MiB over the bridge from httpd in another container, less the quickest empty exec',
  },
] as const;

export type Measure = (typeof MEASURES)[number];
export type MeasureName = Measure['name'];

/** One figure behind one wall: the median and what it is of, or why there is none. */
export type Figure = { median: number; samples: number[] } | { skipped: string };

/** How microVMs run on the host: `tcg` emulates the processor, `kvm` lends it. */
export interface Accelerator {
  name: string;
  /** Why this one, as the daemon says it. */
  reason?: string;
}

/** What a container meets behind a wall. */
export interface Isolation {
  /** The release of the kernel it runs on. */
  kernel: string;
  sharesKernel: boolean;
  /** What stands between what runs inside and the host, in words. */
  surface: string;
}

/** All that `hull compare` found out. */
export interface Comparison {
  image: { name: string; id: string; bytes: number };
  /** Bytes. */
  host: { name: string; cpus: number; memoryTotal: number; memoryAvailable: number };
  accelerator: Accelerator;
  /** Measured runs of each figure that takes several. */
  runs: number;
  isolation: Record<Wall, Isolation>;
  figures: Record<MeasureName, Record<Wall, Figure>>;
}

export function measured(samples: number[]): Figure {
  return { median: median(samples), samples };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? upper) + upper) / 2;
}

/** How many fit into `available` bytes by an idle one's memory in MB. */
export function density(available: number, idle: Figure): Figure {
  if ('skipped' in idle) return idle;
  if (idle.median <= 0) return { skipped: 'the host accounts no memory to it' };
  return measured([Math.floor(available / (idle.median * 1e6))]);
}

/** `12.3 ms`, `1234 MB/s`, `0.05 MB`: three digits where there are not more before the point. */
export function figureText(figure: Figure, unit: string): string {
  if ('skipped' in figure) return '-';
  const { median: value } = figure;
  const digits = value === 0 || value >= 100 || unit === '' ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
}

/** The VM's figure as a multiple of the container's, `8.1 ×` or `1/29`; empty where one is missing or nothing. */
export function ratioText({ container, vm }: Record<Wall, Figure>): string {
  if ('skipped' in container || 'skipped' in vm || container.median === 0 || vm.median === 0) return '';
  const ratio = vm.median / container.median;
  const rounded = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
  return ratio >= 0.95 ? `${rounded(ratio)} ×` : `1/${rounded(1 / ratio)}`;
}
