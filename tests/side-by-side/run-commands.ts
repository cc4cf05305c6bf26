import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { CHECKOUT, request, startDaemon, type Daemon, type EngineName } from '../daemons.ts';
import { busyboxImage, dockerArchive, layeredImage } from '../test-images.ts';
import { normalise } from './normalise.ts';

/** One line of the list and what it gave, normalised. */
export interface Outcome {
  command: string;
  stdout: string;
  stderr: string;
  code: number;
}

const COMMAND_TIMEOUT_MS = 40_000;

export function commands(): string[] {
  const text = readFileSync(path.join(import.meta.dirname, 'commands.txt'), 'utf8');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** The docker CLI's major version. */
export function dockerCliVersion(): number {
  const text = execFileSync('docker', ['--version'], { encoding: 'utf8', timeout: 10_000 });
  return Number(/version (\d+)/.exec(text)?.[1] ?? 0);
}

/** Runs the list against one engine with one program in the place of `docker`. */
export async function runCommands(
  engine: EngineName,
  program: 'docker' | 'hull',
  list: readonly string[],
): Promise<Outcome[]> {
  await using daemon = await startDaemon(engine);
  const images = dockerArchive([busyboxImage(), layeredImage()]);
  await request(daemon.socket, 'POST', '/images/load?quiet=1', { body: images });
  const directory = mkdtempSync(path.join(tmpdir(), 'side-by-side-'));
  try {
    const particulars = {
      words: {
        [directory]: '<dir>',
        [daemon.dataRoot]: '<data root>',
        [daemon.socket]: '<socket>',
        [String(portOf(daemon))]: '<own port>',
      },
      contentIds: contentIds(images),
    };
    prepare(directory, program);
    const outcomes: Outcome[] = [];
    for (const command of list) {
      const { stdout, stderr, code } = await shell(command, directory, daemon);
      const clean = (text: string): string => {
        const normal = normalise(text, particulars);
        return engine === 'hull' ? normal.replaceAll('hull', 'docker').replaceAll('Hull', 'Docker') : normal;
      };
      outcomes.push({ command, stdout: clean(stdout), stderr: clean(stderr), code });
    }
    return outcomes;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function portOf(daemon: Daemon): number {
  return 21_000 + (daemon.pid % 9000);
}

/** Config and layer digests of an archive: the names of its files. */
function contentIds(archive: Buffer): Set<string> {
  return new Set(archive.toString('latin1').match(/[0-9a-f]{64}(?=\.json|\/layer\.tar)/g));
}

function prepare(directory: string, program: string): void {
  mkdirSync(path.join(directory, 'bind'));
  writeFileSync(path.join(directory, 'bind/file'), 'of the host\n');
  writeFileSync(path.join(directory, 'env'), '# comment\nFROM_FILE=yes\n');
  mkdirSync(path.join(directory, '.bin'));
  const link = path.join(directory, '.bin/docker');
  if (program === 'hull') {
    writeFileSync(link, `#!/bin/sh\nexec '${path.join(CHECKOUT, 'bin/hull')}' "$@"\n`);
    chmodSync(link, 0o755);
  } else {
    const found = (process.env.PATH ?? '').split(':').map((each) => path.join(each, 'docker'));
    symlinkSync(found.find((each) => isFile(each)) ?? '/usr/bin/docker', link);
  }
}

function isFile(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}

function shell(
  command: string,
  directory: string,
  daemon: Daemon,
): Promise<{ stdout: string; stderr: string; code: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', command], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: {
        PATH: `${directory}/.bin:${process.env.PATH}`,
        HOME: directory,
        DIR: directory,
        PORT: String(portOf(daemon)),
        DOCKER_HOST: daemon.host,
        // Both sides are asked in the older one's version of the API, so that the client does the same with both.
        DOCKER_API_VERSION: '1.41',
        DOCKER_CLI_HINTS: 'false',
        LC_ALL: 'C',
      },
    });
    const output: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => output[0].push(chunk));
    child.stderr.on('data', (chunk: Buffer) => output[1].push(chunk));
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), COMMAND_TIMEOUT_MS);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({
        stdout: Buffer.concat(output[0]).toString(),
        stderr: Buffer.concat(output[1]).toString() + (signal === 'SIGKILL' ? '\n(killed: too slow)' : ''),
        code: code ?? -1,
      });
    });
  });
}
