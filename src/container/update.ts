import { conflict, invalid, messageOf } from '#/base/errors.ts';
import type { RuntimeResources } from '#/oci/runtime-spec.ts';
import type { Task } from '#/runtime/runtime.ts';
import type { ContainerUpdateBody, HostConfig } from '#/wire/generated.ts';
import type { RetiredResources } from '#/wire/retired-fields.ts';
import type { Container } from './containers.ts';
import { checkResources } from './create/check-resources.ts';
import { type ContainerContext, publish } from './context.ts';
import { checkRestartPolicy } from './create/create.ts';
import { isRunning } from './record.ts';
import { runtimeResources } from './start/resources.ts';

/** Set when they are not zero. */
const LIMITS = [
  'BlkioWeight',
  'CpuPeriod',
  'CpuQuota',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'CpuShares',
  'CpusetCpus',
  'CpusetMems',
  'KernelMemoryTCP',
  'Memory',
  'MemoryReservation',
  'MemorySwap',
  'NanoCpus',
] as const;
/** Set when they are named at all: zero and false mean something. */
const NAMED = ['MemorySwappiness', 'OomKillDisable', 'PidsLimit'] as const;
/** Lists of devices: those named change, the others stay. */
const BY_DEVICE = [
  'BlkioWeightDevice',
  'BlkioDeviceReadBps',
  'BlkioDeviceWriteBps',
  'BlkioDeviceReadIOps',
  'BlkioDeviceWriteIOps',
] as const;
/** Fields of the request that no container that is can be given. */
const FIXED = ['CgroupParent', 'Devices', 'DeviceCgroupRules', 'DeviceRequests', 'Init', 'Ulimits'] as const;

type Limits = HostConfig & RetiredResources;

/** Changes limits and the restart policy, of a running container at once. What the request does not name stays. */
export async function updateContainer(
  context: ContainerContext,
  container: Container,
  body: ContainerUpdateBody & RetiredResources,
): Promise<{ Warnings: string[] }> {
  using _ = await context.locks.acquire(container.id);
  const { record, task } = container;
  if (record.state.status === 'removing' || record.state.status === 'dead') {
    throw refusal(container, 'Container is marked for removal and cannot be "update".');
  }
  const { resources, warnings } = checkResources(body, context.limits, { update: true });
  const policy = body.RestartPolicy;
  checkRestartPolicy({ RestartPolicy: policy });
  refuseClash(container, body);
  const changed = changedLimits(record.hostConfig, resources);
  if (policy?.Name) {
    if (changed.AutoRemove && policy.Name !== 'no') {
      throw refusal(
        container,
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      );
    }
    changed.RestartPolicy = { Name: policy.Name, MaximumRetryCount: policy.MaximumRetryCount ?? 0 };
  }
  if (task !== undefined && isRunning(record)) {
    const limits = changedGroups(runtimeResources(resources), runtimeResources(changed));
    if (Object.keys(limits).length > 0) await applyLimits(container, task, limits);
  }
  record.hostConfig = changed;
  context.containers.save(container);
  publish(context.events, container, 'update');
  const fixed = FIXED.filter((key) => isGiven(body[key]));
  return { Warnings: [...warnings, ...fixed.map((key) => `${key} of a container cannot be updated.`)] };
}

/** Values that no table of ours knows to be wrong: the kernel does. */
const REFUSED_BY_KERNEL =
  /Invalid argument|Numerical result out of range|Device or resource busy|No such device/;

async function applyLimits(container: Container, task: Task, limits: RuntimeResources): Promise<void> {
  try {
    await task.update(limits);
  } catch (error) {
    const message = messageOf(error);
    throw REFUSED_BY_KERNEL.test(message)
      ? invalid(`Cannot update container ${container.id}: ${message}`, { cause: error })
      : error;
  }
}

/** The configuration with what a request names of limits; pure. */
export function changedLimits(host: HostConfig, request: ContainerUpdateBody & RetiredResources): HostConfig {
  const changed: Limits = { ...host };
  for (const limit of LIMITS) if (request[limit]) Object.assign(changed, { [limit]: request[limit] });
  for (const limit of NAMED) {
    const value = request[limit];
    if (value !== undefined && value !== null) Object.assign(changed, { [limit]: value });
  }
  for (const list of BY_DEVICE) {
    const devices = request[list] ?? [];
    const named = new Set(devices.map(({ Path }) => Path));
    const kept = (host[list] ?? []).filter(({ Path }) => !named.has(Path));
    if (devices.length > 0) Object.assign(changed, { [list]: [...kept, ...devices] });
  }
  return changed;
}

/** Of the groups that the request touches, all there is: the period of a quota, the swap beside a memory limit. */
function changedGroups(asked: RuntimeResources, whole: RuntimeResources): RuntimeResources {
  const result: RuntimeResources = {};
  if (asked.memory !== undefined) result.memory = whole.memory;
  if (asked.cpu !== undefined) result.cpu = whole.cpu;
  if (asked.pids !== undefined) result.pids = whole.pids;
  if (asked.blockIO !== undefined) result.blockIO = whole.blockIO;
  return result;
}

/** moby's container/container_unix.go, UpdateContainer */
function refuseClash(container: Container, body: ContainerUpdateBody): void {
  const { hostConfig } = container.record;
  const clash = (what: string, set: string): never => {
    throw refusal(container, `Conflicting options: ${what} cannot be updated as ${set} has already been set`);
  };
  if (body.NanoCpus && hostConfig.CpuPeriod) clash('Nano CPUs', 'CPU Period');
  if (body.NanoCpus && hostConfig.CpuQuota) clash('Nano CPUs', 'CPU Quota');
  if (body.CpuPeriod && hostConfig.NanoCpus) clash('CPU Period', 'NanoCPUs');
  if (body.CpuQuota && hostConfig.NanoCpus) clash('CPU Quota', 'NanoCPUs');
  // Also where there was no limit, or swap without one: then the swap must be said with the memory.
  if (body.Memory && !body.MemorySwap && body.Memory > (hostConfig.MemorySwap ?? 0)) {
    throw refusal(
      container,
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
  }
}

function isGiven(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== '';
}

function refusal(container: Container, why: string): Error {
  return conflict(`Cannot update container ${container.id}: ${why}`);
}
