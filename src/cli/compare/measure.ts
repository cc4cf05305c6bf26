import { setTimeout as pause } from 'node:timers/promises';
import type { ApiClient } from '#/api/client/api-client.ts';
import { type StatsAnswer, statsSample } from '../container/stats-sample.ts';
import {
  type Accelerator,
  type Comparison,
  density,
  type Figure,
  type Isolation,
  measured,
  type MeasureName,
  type Wall,
  WALLS,
} from './figures.ts';
import { type Ran, Subjects } from './subjects.ts';

/** A guest gives memory that it freed back within some two seconds (free page reporting). */
const SETTLE_MS = 4000;
const SYSTEM_CALLS = 200_000;
const MIB = 1 << 20;
const DISK_MIB = 32;
const NETWORK_MIB = 32;
const PORT = 9099;
const PINGS = 10;
/** What a shell says of a program that is not there. */
const NOT_FOUND = 127;
const FILE = '/hull-compare';

export interface MeasureOptions {
  image: string;
  /** Measured runs of each figure that takes several. */
  runs: number;
  /** Aborted: nothing more is asked, and what was made is removed. */
  signal: AbortSignal;
  /** Told what is being measured. */
  progress: (doing: string) => void;
}

interface Info {
  Name: string;
  NCPU: number;
  MemTotal: number;
  Runtimes?: Record<string, { status?: { accelerator?: string; reason?: string } }>;
}

type Figures = Record<Wall, Figure>;
type Running = Record<Wall, string>;

interface Image {
  Id: string;
  Size: number;
}

/** Runs the image behind both walls over the API alone, in turn, so that what else the host does hits both alike. */
export async function measureBoth(client: ApiClient, options: MeasureOptions): Promise<Comparison> {
  const image = await client.json<Image>('GET', `/images/${options.image}/json`);
  await using subjects = new Subjects(client, image.Id, options.signal);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => undefined);
  options.signal.addEventListener('abort', () => reject(options.signal.reason));
  // Whatever is being waited for: what was made is removed at once.
  return await Promise.race([measureAll(client, subjects, image, options), aborted]);
}

async function measureAll(
  client: ApiClient,
  subjects: Subjects,
  image: Image,
  { image: name, runs, signal, progress }: MeasureOptions,
): Promise<Comparison> {
  progress(
    'one start of each to warm up (the first microVM of a daemon takes longer: its guest boots and is saved)',
  );
  for (const wall of WALLS) await subjects.firstOutput(wall, 'echo hull');
  progress('starts');
  const firstOutput = await inTurn(runs, (wall) => subjects.firstOutput(wall, 'echo hull'));

  progress('idle ones');
  const running: Running = { container: await subjects.idle('container'), vm: await subjects.idle('vm') };
  await pause(SETTLE_MS, undefined, { signal });
  const memory = await onEach(
    async (wall) => hostMemory(await subjects.stats<StatsAnswer>(running[wall])) / 1e6,
  );
  const writable = await onEach(async (wall) => {
    const { SizeRw } = await subjects.inspect<{ SizeRw?: number }>(running[wall]);
    return (SizeRw ?? 0) / 1e6;
  });
  const available = await memoryAvailable(subjects, running.container);

  progress('execs');
  for (const wall of WALLS) await subjects.exec(running[wall], ':');
  const exec = await inTurn(runs, async (wall) => (await subjects.exec(running[wall], ':')).ms);
  const empty = { container: quickest(exec.container), vm: quickest(exec.vm) };
  progress('system calls');
  const systemCall = await inTurnInside(subjects, running, runs, {
    script: `dd if=/dev/zero of=/dev/null bs=1 count=${SYSTEM_CALLS / 2}`,
    read: ({ ms }, wall) => ((ms - empty[wall]) * 1000) / SYSTEM_CALLS,
  });
  progress('disk');
  const diskWrite = await inTurnInside(subjects, running, runs, {
    script: `dd if=/dev/zero of=${FILE} bs=1M count=${DISK_MIB} conv=fsync`,
    read: ({ ms }, wall) => rate(DISK_MIB, ms - empty[wall]),
    after: `rm -f ${FILE}`,
  });
  progress('network');
  const network = await measureNetwork(subjects, running, { runs, empty });

  const info = await client.json<Info>('GET', '/info');
  const accelerator = acceleratorOf(info);
  const figures: Record<MeasureName, Figures> = {
    firstOutput,
    exec,
    memory,
    density: {
      container: density(available, memory.container),
      vm: density(available, memory.vm),
    },
    writable,
    systemCall,
    diskWrite,
    ...network,
  };
  return {
    image: { name, id: image.Id, bytes: image.Size },
    host: { name: info.Name, cpus: info.NCPU, memoryTotal: info.MemTotal, memoryAvailable: available },
    accelerator,
    runs,
    isolation: await isolations(subjects, running, accelerator),
    figures,
  };
}

async function inTurn(rounds: number, run: (wall: Wall) => Promise<number>): Promise<Figures> {
  const samples: Record<Wall, number[]> = { container: [], vm: [] };
  for (let round = 0; round < rounds; round++) {
    for (const wall of WALLS) samples[wall].push(await run(wall));
  }
  return { container: measured(samples.container), vm: measured(samples.vm) };
}

function onEach(run: (wall: Wall) => Promise<number>): Promise<Figures> {
  return inTurn(1, run);
}

interface InsideOptions {
  script: string;
  /** The figure; undefined when what the script said has none. */
  read: (ran: Ran, wall: Wall) => number | undefined;
  /** A script that cleans up. */
  after?: string;
}

/** Runs a script in both, in turn, and reads a figure off each run; skipped with a reason where it cannot be run. */
async function inTurnInside(
  subjects: Subjects,
  running: Running,
  rounds: number,
  { script, read, after }: InsideOptions,
): Promise<Figures> {
  const samples: Record<Wall, number[]> = { container: [], vm: [] };
  const skipped: Partial<Record<Wall, string>> = {};
  for (let round = 0; round < rounds; round++) {
    for (const wall of WALLS) {
      if (skipped[wall] !== undefined) continue;
      const ran = await subjects.exec(running[wall], script);
      if (after !== undefined) await subjects.exec(running[wall], after);
      const value = ran.code === 0 ? read(ran, wall) : undefined;
      if (value === undefined) skipped[wall] = whyNot(script, ran);
      else if (value <= 0) skipped[wall] = 'it took no longer than an empty exec';
      else samples[wall].push(value);
    }
  }
  const figure = (wall: Wall): Figure => {
    const reason = skipped[wall];
    return reason === undefined ? measured(samples[wall]) : { skipped: reason };
  };
  return { container: figure('container'), vm: figure('vm') };
}

function whyNot(script: string, { output, code }: Ran): string {
  const program = script.slice(0, script.indexOf(' '));
  if (code === NOT_FOUND || /not found/.test(output)) return `the image has no ${program}`;
  const line = output.trim().split('\n').at(-1) ?? '';
  return `${program} ended with ${code}${line === '' ? '' : ` and said "${line}"`}`;
}

/** MB a second. */
function rate(mebibytes: number, ms: number): number {
  return (mebibytes * MIB) / 1000 / ms;
}

/** Bytes of the host's: a microVM's `usage` is what the guest sees, and its details have what the whole VM takes. */
export function hostMemory(answer: StatsAnswer): number {
  return answer.memory_stats?.stats?.['vm_host_usage'] ?? statsSample(answer).memory;
}

function quickest(figure: Figure): number {
  return 'skipped' in figure ? 0 : Math.min(...figure.samples);
}

/** The average round trip of a ping's summary, in ms: `… min/avg/max… = 0.041/0.063/0.1… ms`. */
export function pingAverage(summary: string): number | undefined {
  const match = /min\/avg\/max\S* = [\d.]+\/([\d.]+)\//.exec(summary);
  return match === null ? undefined : Number(match[1]);
}

/** Bytes, as the host's kernel tells a container that shares it: the engine's API knows the whole memory alone. */
async function memoryAvailable(subjects: Subjects, id: string): Promise<number> {
  const script = 'while read -r name value unit; do echo "$name $value"; done </proc/meminfo';
  const { output } = await subjects.exec(id, script);
  return Number(/^MemAvailable: (\d+)/m.exec(output)?.[1] ?? 0) * 1024;
}

/** Both fetch from a third one, an ordinary container, and ping their gateway. */
async function measureNetwork(
  subjects: Subjects,
  running: Running,
  { runs, empty }: { runs: number; empty: Record<Wall, number> },
): Promise<{ roundTrip: Figures; download: Figures }> {
  const peer = await subjects.idle('container');
  const { NetworkSettings: settings } = await subjects.inspect<{
    NetworkSettings: { Networks: Record<string, { Gateway: string; IPAddress: string }> };
  }>(peer);
  const [bridge] = Object.values(settings.Networks);
  if (bridge === undefined || bridge.Gateway === '') {
    const skipped = { skipped: 'the daemon has no bridge for containers' };
    const none = { container: skipped, vm: skipped };
    return { roundTrip: none, download: none };
  }
  const roundTrip = await inTurnInside(subjects, running, 1, {
    script: `ping -c ${PINGS} -i 0.1 -q ${bridge.Gateway}`,
    read: ({ output }) => pingAverage(output),
  });
  // It listens once its first process has ended.
  const served = `dd if=/dev/zero of=${FILE} bs=1M count=0 seek=${NETWORK_MIB} && httpd -p ${PORT} -h /`;
  const server = await subjects.exec(peer, served);
  if (server.code !== 0) {
    const skipped = { skipped: whyNot('httpd ', server) };
    return { roundTrip, download: { container: skipped, vm: skipped } };
  }
  const download = await inTurnInside(subjects, running, runs, {
    script: `wget -q -O /dev/null http://${bridge.IPAddress}:${PORT}${FILE}`,
    read: ({ ms }, wall) => rate(NETWORK_MIB, ms - empty[wall]),
  });
  return { roundTrip, download };
}

function acceleratorOf({ Runtimes }: Info): Accelerator {
  const { accelerator, reason } = Runtimes?.['vm']?.status ?? {};
  return { name: accelerator ?? 'unknown', ...(reason === undefined ? {} : { reason }) };
}

async function isolations(
  subjects: Subjects,
  running: Running,
  accelerator: Accelerator,
): Promise<Record<Wall, Isolation>> {
  const kernel = async (wall: Wall): Promise<string> =>
    (
      await subjects.exec(running[wall], 'read -r release </proc/sys/kernel/osrelease; echo "$release"')
    ).output.trim();
  return {
    container: {
      kernel: await kernel('container'),
      sharesKernel: true,
      surface: 'between them: system calls, filtered by seccomp',
    },
    vm: {
      kernel: await kernel('vm'),
      sharesKernel: false,
      surface: `between them: QEMU's devices${accelerator.name === 'kvm' ? ' and KVM' : ''}, unprivileged in a sandbox`,
    },
  };
}
