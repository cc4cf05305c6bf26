import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { errnoCode, internal, messageOf } from '#/base/errors.ts';
import { run } from './process.ts';

const DEADLINE_MS = 30_000;

export interface HostUser {
  name: string;
  uid: number;
}

export interface HostGroup {
  name: string;
  gid: number;
}

/** A user of this host by name or number, from wherever the host has its users. */
export async function findUser(key: string): Promise<HostUser | undefined> {
  const [name = '', , id = ''] = await entry('passwd', key);
  return name === '' ? undefined : { name, uid: Number(id) };
}

export async function findGroup(key: string): Promise<HostGroup | undefined> {
  const [name = '', , id = ''] = await entry('group', key);
  return name === '' ? undefined : { name, gid: Number(id) };
}

async function entry(database: string, key: string): Promise<string[]> {
  const { code, stdout, stderr } = await run('getent', [database, key], { timeoutMs: DEADLINE_MS });
  // getent(1): 2 is "not found".
  if (code === 2) return [];
  if (code !== 0) throw internal(`getent ${database} ${key}: ${stderr.toString('utf8').trim()}`);
  return stdout.toString('utf8').trim().split('\n')[0]?.split(':') ?? [];
}

/** The texts of subuid(5) and subgid(5); empty where there is no such file. */
export function subordinateIds(): { uids: string; gids: string } {
  return { uids: readIfThere('/etc/subuid'), gids: readIfThere('/etc/subgid') };
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** Adds a user and a group of this name who log in nowhere, with the program that this distribution has. */
export async function addSystemUser(name: string): Promise<void> {
  const debian = '--system --shell /bin/false --no-create-home --disabled-login --disabled-password --group';
  if (isInstalled('adduser')) await administer('adduser', [...debian.split(' '), name]);
  else await administer('useradd', ['-r', '-U', '-s', '/bin/false', name]);
}

/** Grants a user a range of subordinate ids, of users (`v`) or of groups (`w`). */
export async function grantRange(
  name: string,
  kind: 'v' | 'w',
  start: number,
  length: number,
): Promise<void> {
  await administer('usermod', [`-${kind}`, `${start}-${start + length - 1}`, name]);
}

async function administer(command: string, args: string[]): Promise<void> {
  try {
    const { code, stdout, stderr } = await run(command, args, { timeoutMs: DEADLINE_MS });
    if (code !== 0) throw internal(`${stdout.toString('utf8')}${stderr.toString('utf8')}`.trim());
  } catch (error) {
    throw internal(`${command} ${args.join(' ')}: ${messageOf(error)}`, { cause: error });
  }
}

function isInstalled(command: string): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((directory) => {
    try {
      accessSync(path.join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
