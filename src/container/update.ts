import { conflict } from '#/base/errors.ts';
import type { RuntimeResources } from '#/oci/runtime-spec.ts';
import type { ContainerUpdateBody, HostConfig } from '#/wire/generated.ts';
import type { Container } from './containers.ts';
import { type ContainerContext, publish } from './context.ts';
import { checkRestartPolicy } from './create.ts';
import { isRunning } from './record.ts';
import { checkResources, runtimeResources } from './resources.ts';

const LIMITS = [
  'BlkioWeight',
  'CpuPeriod',
  'CpuQuota',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'CpuShares',
  'CpusetCpus',
  'CpusetMems',
  'Memory',
  'MemoryReservation',
  'MemorySwap',
  'NanoCpus',
  'PidsLimit',
] as const;

/** Changes limits and the restart policy, of a running container at once. What the request does not name stays. */
export async function updateContainer(
  context: ContainerContext,
  container: Container,
  body: ContainerUpdateBody,
): Promise<{ Warnings: string[] }> {
  using _ = await context.locks.acquire(container.id);
  const { record, task } = container;
  if (record.state.status === 'removing' || record.state.status === 'dead') {
    throw refusal(container, 'Container is marked for removal and cannot be "update".');
  }
  // A limit on swap alone goes with the memory limit that stands.
  const memory = body.Memory || (body.MemorySwap ? record.hostConfig.Memory : 0) || 0;
  const { resources, warnings } = checkResources({ ...body, Memory: memory }, context.host);
  const policy = body.RestartPolicy;
  checkRestartPolicy({ RestartPolicy: policy });
  refuseClash(container, body);
  const changed: HostConfig = { ...record.hostConfig };
  for (const limit of LIMITS) if (resources[limit]) Object.assign(changed, { [limit]: resources[limit] });
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
    if (Object.keys(limits).length > 0) await task.update(limits);
  }
  record.hostConfig = changed;
  context.containers.save(container);
  publish(context.events, container, 'update');
  return { Warnings: warnings };
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
  if (body.CpuPeriod && hostConfig.NanoCpus) clash('CPU Period', 'NanoCPUs');
  if (body.CpuQuota && hostConfig.NanoCpus) clash('CPU Quota', 'NanoCPUs');
  if (body.NanoCpus && hostConfig.CpuQuota) clash('NanoCPUs', 'CPU Quota');
  if (body.NanoCpus && hostConfig.CpuPeriod) clash('NanoCPUs', 'CPU Period');
  const swap = hostConfig.MemorySwap ?? 0;
  if (body.Memory && !body.MemorySwap && swap > 0 && body.Memory > swap) {
    throw refusal(
      container,
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
  }
}

function refusal(container: Container, why: string): Error {
  return conflict(`Cannot update container ${container.id}: ${why}`);
}
