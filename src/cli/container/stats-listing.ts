import { type Listing, truncateId } from '../format/listing.ts';
import { binarySize, decimalSize } from '../format/units.ts';
import type { StatsSample } from './stats-sample.ts';

/** A line of `stats`: who was asked, and the last answer, while that is fresh. */
export interface StatsRow {
  /** The container as the user named it; the short id of those that were found. */
  container: string;
  sample: StatsSample | undefined;
  fresh: boolean;
}

const percent = (value: number): string => `${value.toFixed(2)}%`;

/** A figure of a container that has just answered; `--` of one that has not. */
function figure(show: (sample: StatsSample) => string, otherwise = '--'): (row: StatsRow) => string {
  return ({ sample, fresh }) => (sample && fresh ? show(sample) : otherwise);
}

export const statsListing: Listing<StatsRow> = {
  type: '*container.statsContext',
  quiet: 'ID',
  table: ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs'],
  fields: {
    Container: { header: 'CONTAINER', value: (row) => row.container },
    ID: {
      header: 'CONTAINER ID',
      value: ({ sample }, full) => (full ? (sample?.id ?? '') : truncateId(sample?.id ?? '')),
    },
    Name: { header: 'NAME', value: ({ sample }) => sample?.name || '--' },
    CPUPerc: { header: 'CPU %', value: figure((sample) => percent(sample.cpuPercent)) },
    MemUsage: {
      header: 'MEM USAGE / LIMIT',
      value: figure(
        (sample) => `${binarySize(sample.memory)} / ${binarySize(sample.memoryLimit)}`,
        '-- / --',
      ),
    },
    MemPerc: {
      header: 'MEM %',
      value: figure(({ memory, memoryLimit }) => percent(memoryLimit > 0 ? (memory / memoryLimit) * 100 : 0)),
    },
    NetIO: {
      header: 'NET I/O',
      value: figure((sample) => `${decimalSize(sample.received, 3)} / ${decimalSize(sample.sent, 3)}`),
    },
    BlockIO: {
      header: 'BLOCK I/O',
      value: figure((sample) => `${decimalSize(sample.read, 3)} / ${decimalSize(sample.written, 3)}`),
    },
    PIDs: { header: 'PIDS', value: figure((sample) => String(sample.processes)) },
  },
};
