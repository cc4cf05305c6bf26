import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { run } from '#/host/process.ts';
import { defaultSpec } from '#/oci/default-spec.ts';

import type { OciCommand } from './oci-command.ts';
import { runtimeWords } from './runtime-words.ts';

export type ProbeResult = { works: true } | { works: false; reason: string };

const DEADLINE_MS = 20_000;
/** hull-monitor without arguments says how it is used, and ends with this. */
const USAGE = 2;

/** Runs a container whose only program is the monitor, which is static and so needs nothing else. */
export async function probeRuntime(
  command: OciCommand,
  monitor: string,
  systemd: boolean,
): Promise<ProbeResult> {
  const bundle = await mkdtemp(path.join(tmpdir(), 'hull-probe-'));
  const id = path.basename(bundle);
  try {
    await mkdir(path.join(bundle, 'rootfs'));
    await copyFile(monitor, path.join(bundle, 'rootfs', 'probe'));
    const spec = defaultSpec({ cgroupVersion: 1 });
    // Mounting cgroup2 from the host's cgroup namespace sets the whole host's options anew: nsdelegate and the like would be off.
    spec.mounts = spec.mounts.filter(({ type }) => type !== 'cgroup');
    spec.process.args = ['/probe'];
    spec.linux.cgroupsPath = systemd ? `system.slice:hull:${id}` : `/${id}`;
    await writeFile(path.join(bundle, 'config.json'), JSON.stringify(spec));
    const [binary = '', ...args] = command.runForeground(id, bundle, systemd);
    const { code, stderr } = await run(binary, args, { timeoutMs: DEADLINE_MS });
    if (code === USAGE) return { works: true };
    return { works: false, reason: runtimeWords(stderr.toString('utf8')) || `code ${code}` };
  } catch (error) {
    return { works: false, reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(bundle, { recursive: true, force: true });
  }
}
