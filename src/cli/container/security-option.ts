import { readFileSync } from 'node:fs';
import { messageOf } from '#/base/errors.ts';

export interface SecurityOptions {
  SecurityOpt: string[] | null;
  MaskedPaths: string[] | null;
  ReadonlyPaths: string[] | null;
}

/**
 * Reads every `--security-opt`. A seccomp profile is a file of the client's, so it is sent by content; `systempaths=unconfined`
 * is no option of the API's but two empty lists.
 */
export function parseSecurityOptions(values: readonly string[]): SecurityOptions {
  const result: SecurityOptions = {
    SecurityOpt: values.length > 0 ? [] : null,
    MaskedPaths: null,
    ReadonlyPaths: null,
  };
  for (const value of values) {
    if (value === 'systempaths=unconfined') {
      result.MaskedPaths = [];
      result.ReadonlyPaths = [];
      continue;
    }
    const [, key = value, text] = /^([^=:]+)[=:](.*)$/s.exec(value) ?? [];
    if (text === undefined && value !== 'no-new-privileges')
      throw new Error(`Invalid --security-opt: ${JSON.stringify(value)}`);
    if (key === 'seccomp' && text !== undefined && text !== 'unconfined' && text !== 'builtin') {
      result.SecurityOpt?.push(`seccomp=${readProfile(text)}`);
    } else result.SecurityOpt?.push(value);
  }
  return result;
}

function readProfile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`opening seccomp profile (${file}) failed: ${goError('open', file, error)}`, {
      cause: error,
    });
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (error) {
    throw new Error(`compacting json for seccomp profile (${file}) failed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function goError(action: string, file: string, error: unknown): string {
  const message = messageOf(error);
  return message.startsWith('ENOENT') ? `${action} ${file}: no such file or directory` : message;
}
