import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSysctls } from './sysctls.ts';

const ALL = { network: true, ipc: true, uts: true };

test('checkSysctls() lets a container set what its namespaces keep for it', () => {
  for (const name of [
    'net.ipv4.ip_forward',
    'net/ipv4/conf/eth0.100/forwarding',
    'kernel.shmmax',
    'fs.mqueue.msg_max',
    'kernel.domainname',
  ]) {
    assert.doesNotThrow(() => checkSysctls({ [name]: '1' }, ALL), name);
  }
});

test('checkSysctls() lets a container with a kernel of its own set all of it but its name', () => {
  const own = { kernel: true, network: false, ipc: false, uts: false };
  for (const name of ['kernel.panic', 'vm.overcommit_memory', 'net.core.somaxconn', 'kernel.sem'])
    assert.doesNotThrow(() => checkSysctls({ [name]: '1' }, own), name);
  assert.throws(
    () => checkSysctls({ 'kernel.hostname': 'x' }, own),
    /conflicts with the OCI "hostname" field/,
  );
});

test("checkSysctls() refuses what is the whole host's, and what belongs to a namespace that is the host's", () => {
  const table: [name: string, own: Parameters<typeof checkSysctls>[1], reason: string][] = [
    ['kernel.panic', ALL, 'is not in a separate kernel namespace'],
    ['vm.overcommit_memory', ALL, 'is not in a separate kernel namespace'],
    ['kernel/shmmax/x', ALL, 'is not in a separate kernel namespace'],
    ['kernel.hostname', ALL, 'is not allowed as it conflicts with the OCI "hostname" field'],
    ['kernel.domainname', { ...ALL, uts: false }, 'is not in a separate kernel namespace'],
    ['net.core.somaxconn', { ...ALL, network: false }, 'not allowed in host network namespace'],
    ['net/core/somaxconn', { ...ALL, network: false }, 'not allowed in host network namespace'],
    ['kernel.sem', { ...ALL, ipc: false }, 'is not allowed in the hosts ipc namespace'],
    ['fs.mqueue.msg_max', { ...ALL, ipc: false }, 'is not allowed in the hosts ipc namespace'],
  ];
  for (const [name, own, reason] of table) {
    assert.throws(() => checkSysctls({ [name]: '1' }, own), {
      kind: 'internal',
      message: `failed to create task for container: failed to create shim task: OCI runtime create failed: sysctl "${name}" ${reason}: unknown`,
    });
  }
});
