import type { Command } from '../command.ts';
import { eachArgument } from '../each-argument.ts';
import type { FlagSet } from '../flags/flag-set.ts';
import { parseSwapSize } from '../flags/scalar.ts';
import { parseRestartPolicy } from './resource-options.ts';

const FLAGS = `
      --blkio-weight uint16  Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
      --cpu-period int  Limit CPU CFS (Completely Fair Scheduler) period
      --cpu-quota int  Limit CPU CFS (Completely Fair Scheduler) quota
      --cpu-rt-period int  Limit the CPU real-time period in microseconds
      --cpu-rt-runtime int  Limit the CPU real-time runtime in microseconds
  -c, --cpu-shares int  CPU shares (relative weight)
      --cpus decimal  Number of CPUs
      --cpuset-cpus string  CPUs in which to allow execution (0-3, 0,1)
      --cpuset-mems string  MEMs in which to allow execution (0-3, 0,1)
  -m, --memory bytes  Memory limit
      --memory-reservation bytes  Memory soft limit
      --memory-swap bytes  Swap limit equal to memory plus swap: -1 to enable unlimited swap
      --pids-limit int  Tune container pids limit (set -1 for unlimited)
      --restart string  Restart policy to apply when a container exits
`;

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: FLAGS,
  hiddenFlags: '--kernel-memory bytes',
  checks: { 'memory-swap': parseSwapSize },
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    if (!flags.anyChanged()) throw new Error('you must provide one or more flags when using this command');
    const body = updateBody(flags);
    const warnings: string[] = [];
    try {
      await eachArgument(terminal, args, async (name) => {
        const answer = await client.json<{ Warnings?: string[] | null } | null>(
          'POST',
          `/containers/${name}/update`,
          { body },
        );
        warnings.push(...(answer?.Warnings ?? []));
        return name;
      });
    } finally {
      for (const warning of warnings) terminal.out(`${warning}\n`);
    }
  },
};

/** What is to change; the fields of what is to stay are empty, as docker's client sends them. */
function updateBody(flags: FlagSet): Record<string, unknown> {
  return {
    CpuShares: flags.number('cpu-shares'),
    Memory: flags.number('memory'),
    NanoCpus: flags.number('cpus'),
    CgroupParent: '',
    BlkioWeight: flags.number('blkio-weight'),
    BlkioWeightDevice: null,
    BlkioDeviceReadBps: null,
    BlkioDeviceWriteBps: null,
    BlkioDeviceReadIOps: null,
    BlkioDeviceWriteIOps: null,
    CpuPeriod: flags.number('cpu-period'),
    CpuQuota: flags.number('cpu-quota'),
    CpuRealtimePeriod: flags.number('cpu-rt-period'),
    CpuRealtimeRuntime: flags.number('cpu-rt-runtime'),
    CpusetCpus: flags.string('cpuset-cpus'),
    CpusetMems: flags.string('cpuset-mems'),
    Devices: null,
    DeviceCgroupRules: null,
    DeviceRequests: null,
    ...(flags.changed('kernel-memory') && { KernelMemory: flags.number('kernel-memory') }),
    MemoryReservation: flags.number('memory-reservation'),
    MemorySwap: flags.number('memory-swap'),
    MemorySwappiness: null,
    OomKillDisable: null,
    PidsLimit: flags.changed('pids-limit') ? flags.number('pids-limit') : null,
    Ulimits: null,
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    RestartPolicy: flags.changed('restart')
      ? parseRestartPolicy(flags.string('restart'))
      : { Name: '', MaximumRetryCount: 0 },
  };
}
