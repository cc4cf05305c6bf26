import { errnoCode } from '#/base/errors.ts';

/** What the kernel says of paths that name nothing, in the words of Go; a NUL does not even reach it. */
const REASONS: Record<string, string> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ERR_INVALID_ARG_VALUE: 'invalid argument',
};

/** Why a path that a client gave cannot be looked at; undefined when the path is not to blame. */
export function refusalOfPath(error: unknown): string | undefined {
  return REASONS[errnoCode(error) ?? ''];
}
