import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';

import { instanceName } from '../src/network/network-options.ts';
import { sleep } from './daemons.ts';

/**
 * What an engine can leave behind on a host: mounts, network namespaces, links, nft tables, processes, cgroups, files.
 * Taken before and after; what is new after is a leak. Things are named so that a failure says at once where to look.
 */
export type HostSnapshot = Map<Kind, Set<string>>;
type Kind = 'mount' | 'network namespace' | 'link' | 'nft table' | 'process' | 'cgroup';

/** Programs that an engine starts and that must be gone with its containers. */
const PROGRAMS =
  /^(conmon|hull-monitor|hull-tls|hull-vm|hull|crun|runc|hulld|qemu-system.*|containerd-shim.*)$/;

export function hostSnapshot(): HostSnapshot {
  return new Map<Kind, Set<string>>([
    ['mount', new Set(mounts())],
    ['network namespace', new Set(networkNamespaces())],
    ['link', new Set(readdirSync('/sys/class/net'))],
    ['nft table', new Set(nftTables())],
    ['process', new Set(processes())],
    ['cgroup', new Set(cgroups())],
  ]);
}

/**
 * What stands now and did not before, one line each; files are whatever is left under the roots (which should be gone).
 * `HULL_TEST_SHARED_HOST=1`, for a host where others start engines meanwhile, sees only what names the roots, or the instances of
 * Hull on them: links, tables and cgroups.
 */
export function leaksSince(before: HostSnapshot, roots: readonly string[] = []): string[] {
  const now = hostSnapshot();
  const names = roots.flatMap((root) => [root, instanceName(path.join(root, 'data'))]);
  const left = [...now]
    .flatMap(([kind, things]) =>
      [...things].filter((thing) => !before.get(kind)?.has(thing)).map((thing) => `${kind} ${thing}`),
    )
    .filter((line) => !process.env.HULL_TEST_SHARED_HOST || names.some((name) => line.includes(name)));
  return [...left, ...roots.filter((root) => existsSync(root)).map((root) => `files under ${root}`)];
}

/** Fails with the list of what is left; what is on its way out (a dying process, a namespace being torn down) has some seconds. */
export async function assertNoLeaks(before: HostSnapshot, roots: readonly string[] = []): Promise<void> {
  let left = leaksSince(before, roots);
  for (let tries = 0; left.length > 0 && tries < 50; tries++) {
    await sleep(100);
    left = leaksSince(before, roots);
  }
  assert.ok(left.length === 0, `left behind:\n  ${left.slice(0, 40).join('\n  ')}`);
}

function mounts(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const fields = line.split(' ');
      return `${fields[4]} (${fields[fields.indexOf('-') + 1]}, mount ${fields[0]})`;
    });
}

/** Namespaces some process lives in; those held only by a mount show up among the mounts. */
function networkNamespaces(): string[] {
  return [...new Set(pids().map((pid) => link(`/proc/${pid}/ns/net`)))].filter((name) => name !== '');
}

function nftTables(): string[] {
  try {
    const listed = execFileSync('nft', ['list', 'tables'], {
      encoding: 'utf8',
      timeout: 5000,
      stdio: 'pipe',
    });
    // iptables-nft leaves its empty built-in tables; they are the peers' and nobody's leak.
    return listed.split('\n').filter((line) => line !== '' && !/ (nat|filter|mangle|raw)$/.test(line));
  } catch {
    return [];
  }
}

function processes(): string[] {
  return pids().flatMap((pid) => {
    const name = text(`/proc/${pid}/comm`).trim();
    const command = text(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    const program = PROGRAMS.test(name) || /hulld(\.cjs)?\b/.test(command);
    return program ? [`${pid} ${name}: ${command.slice(0, 160)}`] : [];
  });
}

function cgroups(): string[] {
  const found: string[] = [];
  const visit = (directory: string): void => {
    for (const entry of entries(directory)) {
      const child = path.join(directory, entry);
      // Those of systemd's own units come and go.
      if (!/\.(service|socket|mount|swap|slice)$/.test(entry)) found.push(child);
      visit(child);
    }
  };
  visit('/sys/fs/cgroup');
  return found;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

function pids(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
