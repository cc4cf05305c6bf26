import { readFileSync } from 'node:fs';
import { run } from './process.ts';

const ENABLED = '/sys/module/apparmor/parameters/enabled';
const PARSER_DEADLINE_MS = 30_000;

/** Whether the kernel confines by AppArmor. */
export function hasAppArmor(file = ENABLED): boolean {
  try {
    return readFileSync(file, 'utf8').startsWith('Y');
  } catch {
    return false;
  }
}

/** Loads profiles into the kernel, those of the same name replaced. Throws with the parser's words. */
export async function loadAppArmorProfiles(text: string): Promise<void> {
  const { code, stderr } = await run('apparmor_parser', ['--replace', '--skip-cache'], {
    input: text,
    timeoutMs: PARSER_DEADLINE_MS,
  });
  if (code !== 0) throw new Error(stderr.toString().trim() || `apparmor_parser ended with ${code}`);
}
