import { chmodSync, constants, copyFileSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { internal } from '#/base/errors.ts';
import { run } from '#/host/process.ts';

const DEADLINE_MS = 10_000;

/** A program or file of the host, and where it is to be in the sandbox. */
export interface SandboxFile {
  from: string;
  to: string;
  /** Programs bring their libraries along. */
  program?: boolean;
  /** Who executes it may not read it, so that the kernel lets nobody of the same user look into the process: ptrace(2), "dumpable". */
  closed?: boolean;
}

/**
 * Fills a directory with these files and the libraries of the programs among them, and nothing else: the root filesystem
 * of every microVM's sandbox. Copies, so that an upgrade of the host's packages changes no VM that is saved or runs.
 */
export async function makeSandboxRoot(directory: string, files: readonly SandboxFile[]): Promise<void> {
  const wanted = new Map(files.map(({ from, to }) => [to, from]));
  for (const { from, program } of files) {
    if (program !== true) continue;
    for (const library of await librariesOf(from)) wanted.set(library, library);
  }
  for (const empty of ['dev', 'proc', 'run', 'tmp'])
    mkdirSync(path.join(directory, empty), { recursive: true });
  // Where the host has its directories merged, so does the sandbox: libraries are looked for by both names.
  for (const merged of ['lib', 'lib64']) {
    mkdirSync(path.join(directory, 'usr', merged), { recursive: true });
    symlinkSync(`usr/${merged}`, path.join(directory, merged));
  }
  for (const [to, from] of wanted) {
    const target = path.join(directory, to);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(realpathSync(from), target, constants.COPYFILE_FICLONE);
  }
  for (const { to, closed } of files) if (closed === true) chmodSync(path.join(directory, to), 0o711);
}

/** The shared libraries of a program, and its loader, as the host's loader finds them. A static program has none. */
async function librariesOf(program: string): Promise<string[]> {
  const { code, stdout, stderr } = await run('ldd', [program], { timeoutMs: DEADLINE_MS });
  const said = stdout.toString();
  if (code !== 0) {
    if (/not a dynamic executable|statically linked/.test(said + stderr.toString())) return [];
    throw internal(`Cannot find the libraries of "${program}": ${stderr.toString().trim()}`);
  }
  return said.split('\n').flatMap((line) => {
    if (line.includes('not found')) throw internal(`A library of "${program}" is missing: ${line.trim()}`);
    const file = /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1];
    return file === undefined ? [] : [file];
  });
}
