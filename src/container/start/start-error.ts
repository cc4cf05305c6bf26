import { type EngineError, internal, invalid } from '#/base/errors.ts';

/** A start that failed: Docker's words, the exit code that its clients derive from them, and the status they expect. */
export interface StartFailure {
  error: EngineError;
  /** 127 not found, 126 not executable, 128 anything else. */
  exitCode: number;
}

// Clients read these words: the docker CLI turns "executable file not found" and "no such file or directory" into exit code 127,
// "permission denied" and "is a directory" into 126.
const RULES: { pattern: RegExp; words: (match: RegExpExecArray) => string; exitCode: number }[] = [
  {
    pattern: /executable file `([^`]*)` not found in \$PATH/,
    // crun says so of a path as well, which is not looked for anywhere.
    words: ([, file = '']) =>
      file.includes('/')
        ? `exec: "${file}": stat ${file}: no such file or directory`
        : `exec: "${file}": executable file not found in $PATH`,
    exitCode: 127,
  },
  {
    pattern: /executable file `([^`]*)` not found/,
    words: ([, file]) => `exec: "${file}": stat ${file}: no such file or directory`,
    exitCode: 127,
  },
  {
    // What may not be opened of /proc/sys is a setting, and no command.
    pattern:
      /(?:exec|open|open executable)(?![^\n]*\/proc\/sys\/)[^\n]*?(?:`([^`]*)`)?[^\n]*: (?:Permission denied|Operation not permitted|Is a directory)/i,
    words: ([, file]) => `exec: "${file ?? ''}": permission denied`,
    exitCode: 126,
  },
  {
    pattern: /exec(?:ve)?[^\n]*`([^`]*)`[^\n]*: No such file or directory/,
    words: ([, file]) => `exec ${file}: no such file or directory`,
    exitCode: 127,
  },
  { pattern: /exec[^\n]*: Exec format error/, words: () => 'exec format error', exitCode: 126 },
];

// moby's daemon/errors.go, translateContainerdStartErr
const WRONG_KIND =
  'Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';

/** What the kernel makes of a limit depends on those around it: real-time shares have a budget, for instance. */
const REFUSED_LIMIT = /writing file `[^`]*`: (Invalid argument|Numerical result out of range)/;

/** How the monitor begins when it could not reach the other end of a log: nothing was run then. */
const LOG_FAILED = 'failed to initialize logging driver: ';

/** What the runtime said of a process that never ran, in the words that Docker's clients know. `command` is its first word. */
export function startFailure(runtime: string, said: string, command: string): StartFailure {
  if (said.startsWith(LOG_FAILED)) {
    return { error: internal(`failed to create task for container: ${said}`), exitCode: 128 };
  }
  // runc speaks Docker's language already.
  const known = /exec: "[^"]*": [^\n"]*/.exec(said)?.[0];
  const rule = RULES.find(({ pattern }) => pattern.test(said));
  const match = rule?.pattern.exec(said);
  const words =
    known ??
    (rule !== undefined && match ? rule.words(match).replace('exec: "":', `exec: "${command}":`) : undefined);
  const prefix =
    'failed to create task for container: failed to create shim task: OCI runtime create failed:';
  if (words === undefined && /not a directory/i.test(said)) {
    return { error: invalid(`${prefix} ${runtime}: ${said.trim()}: unknown: ${WRONG_KIND}`), exitCode: 127 };
  }
  if (words === undefined) {
    const failed = REFUSED_LIMIT.test(said) ? invalid : internal;
    return { error: failed(`${prefix} ${runtime}: ${said.trim()}: unknown`), exitCode: 128 };
  }
  const exitCode = rule?.exitCode ?? (/permission denied|is a directory/.test(words) ? 126 : 127);
  return {
    error: invalid(
      `${prefix} ${runtime} create failed: unable to start container process: ${words}: unknown`,
    ),
    exitCode,
  };
}
