import { readFileSync } from 'node:fs';

import { request, sleep } from '../../tests/daemons.ts';
import { busyboxImage, dockerArchive } from '../../tests/test-images.ts';
import { api, create, type Group, removeAll, type Samples, seconds } from '../measure.ts';
import { type Peer, procField, startPeer } from '../peers.ts';
import { pss, pssOfFile } from '../proportional-memory.ts';

/** Emulated everywhere, so that figures of hosts with and without KVM can be put beside each other. */
const FLAGS = ['--vm-accelerator', 'tcg'];
const STARTS = 7;
const EXECS = 15;
const IDLE = 5;
const AT_ONCE = 20;
const AT_ONCE_DEADLINE_MS = 300_000;
/** A guest gives back what it has freed after some two seconds. */
const SETTLE_MS = 5000;
/** Where QEMU has the guest's memory from: src/runtime/microvm/microvm-runtime.ts. */
const GUEST_MEMORY = '/run/ram';
const SLEEP = ['sleep', '600'];

const isolated = { Isolation: 'vm' };
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `vm${index}`);

async function openPeer(...flags: string[]): Promise<Peer> {
  const peer = await startPeer('hull', [...FLAGS, ...flags]);
  await request(peer.socket, 'POST', '/images/load?quiet=1', { body: dockerArchive([busyboxImage()]) });
  return peer;
}

/** Seconds from the CLI's start to its first output, of a guest that boots and of one that goes on from a saved one. */
async function starts(cold: Peer, saved: Peer): Promise<[Samples, Samples]> {
  const samples = { cold: [] as number[], saved: [] as number[] };
  const first = async (peer: Peer): Promise<number> =>
    (await peer.cli.firstOutput('run', '--rm', '--runtime', 'vm', 'busybox', 'echo', 'hello')) / 1000;
  for (const peer of [cold, saved]) await first(peer);
  for (let round = 0; round < STARTS; round++) {
    samples.cold.push(await first(cold));
    samples.saved.push(await first(saved));
  }
  return [{ hull: samples.cold }, { hull: samples.saved }];
}

async function execMs(peer: Peer, name: string): Promise<number> {
  const began = performance.now();
  const { Id } = await api(peer, 'POST', `/containers/${name}/exec`, { Cmd: ['true'], AttachStdout: true });
  await api(peer, 'POST', `/exec/${String(Id)}/start`, { Detach: false, Tty: false });
  return performance.now() - began;
}

/** Milliseconds in a microVM, and how many times those of an ordinary container's exec right before it. */
async function execs(peer: Peer): Promise<[Samples, Samples]> {
  await start(peer, 'plain', {});
  await start(peer, 'vm', isolated);
  try {
    const vm: number[] = [];
    const ratios: number[] = [];
    for (const name of ['plain', 'vm']) await execMs(peer, name);
    for (let round = 0; round < EXECS; round++) {
      const plain = await execMs(peer, 'plain');
      const own = await execMs(peer, 'vm');
      vm.push(own);
      ratios.push(own / plain);
    }
    return [{ hull: vm }, { hull: ratios }];
  } finally {
    await removeAll(peer, ['plain', 'vm']);
  }
}

/** MB of the host's that an idle VM takes beyond the pages its guest uses: hull-monitor, hull-vm and QEMU without the guest's memory. */
async function idleMemory(peer: Peer): Promise<Samples> {
  const all = names(IDLE);
  try {
    for (const name of all) await start(peer, name, isolated);
    await sleep(SETTLE_MS);
    const sizes: number[] = [];
    for (const name of all) {
      const { State } = await api(peer, 'GET', `/containers/${name}/json`);
      const { Pid: hullVm } = State as { Pid: number };
      const qemu = onlyChild(hullVm);
      const monitor = Number(procField(hullVm, 'PPid'));
      const whole = [monitor, hullVm, qemu].reduce((sum, pid) => sum + pss(pid), 0);
      sizes.push((whole - pssOfFile(qemu, GUEST_MEMORY)) / 1e6);
    }
    return { hull: sizes };
  } finally {
    await removeAll(peer, all);
  }
}

function onlyChild(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  if (children.length !== 1) throw new Error(`${pid} has ${children.length} child processes, not QEMU alone`);
  return Number(children[0]);
}

/** Seconds until all of them run, started together. */
async function atOnce(peer: Peer): Promise<Samples> {
  const all = names(AT_ONCE);
  try {
    for (const name of all) await create(peer, { Cmd: SLEEP, HostConfig: isolated }, name);
    const starting = (name: string): Promise<unknown> =>
      request(peer.socket, 'POST', `/containers/${name}/start`, { timeoutMs: AT_ONCE_DEADLINE_MS });
    const took = await seconds(async () => {
      await Promise.all(all.map(starting));
    });
    for (const name of all) {
      const { State } = await api(peer, 'GET', `/containers/${name}/json`);
      if (!(State as { Running: boolean }).Running) throw new Error(`${name} does not run`);
    }
    return { hull: [took] };
  } finally {
    await removeAll(peer, all);
  }
}

async function start(peer: Peer, name: string, hostConfig: object): Promise<void> {
  await create(peer, { Cmd: SLEEP, HostConfig: hostConfig }, name);
  await api(peer, 'POST', `/containers/${name}/start`);
}

export const vm: Group = {
  rows: [
    {
      name: 'vm-cold',
      title: 'microVM (TCG), booted: busybox to first output, CLI',
      unit: 's',
      promise: { atMost: 2 },
    },
    {
      name: 'vm-saved',
      title: 'microVM (TCG), from a saved guest: the same',
      unit: 's',
      promise: { atMost: 0.7 },
    },
    { name: 'vm-exec', title: 'microVM (TCG): `exec true` over the API', unit: 'ms' },
    {
      name: 'vm-exec-ratio',
      title: "the same beside a container's",
      unit: '×',
      promise: { atMost: 3 },
    },
    {
      name: 'vm-memory',
      title: "idle microVM (TCG), PSS beyond its guest's memory",
      unit: 'MB',
      promise: { atMost: 45 },
    },
    { name: 'vm-many', title: '20 microVMs (TCG) started at once, until all run', unit: 's' },
  ],
  measure: async (peers) => {
    // Engines without microVMs have no column here.
    if (!peers.some(({ name }) => name === 'hull')) return [];
    await using cold = await openPeer('--vm-snapshots=false');
    await using saved = await openPeer();
    return [
      ...(await starts(cold, saved)),
      ...(await execs(saved)),
      await idleMemory(saved),
      await atOnce(saved),
    ];
  },
};
