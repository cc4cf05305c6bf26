import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errnoCode } from '#/base/errors.ts';
import { identify } from '#/host/process-identity.ts';

/** Writes this process's pid; refuses, in dockerd's words, while the process in it lives. Disposing deletes the file. */
export function writePidfile(file: string): Disposable {
  const holder = readPid(file);
  if (holder !== undefined && holder !== process.pid && identify(holder) !== undefined) {
    throw new Error(
      `failed to start daemon, ensure docker is not running or delete ${file}: process with PID ${holder} is still running`,
    );
  }
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(file, String(process.pid), { mode: 0o644 });
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
