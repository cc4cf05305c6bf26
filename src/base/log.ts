/** The daemon's log: one logfmt line a message, as dockerd writes them, so that people's tools go on reading it. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 };

export type LogFields = Record<string, string | number | boolean | undefined>;

export class Logger {
  level: LogLevel;
  readonly #write: (line: string) => void;

  constructor(
    level: LogLevel = 'info',
    write: (line: string) => void = (line) => process.stderr.write(line),
  ) {
    this.level = level;
    this.#write = write;
  }

  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields);
  }

  /** Times the phases of one operation; `done` writes them in one debug line, in milliseconds. */
  phases(operation: string): Phases {
    return new Phases(operation, this);
  }

  #log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (RANK[level] < RANK[this.level]) return;
    let line = `time=${quote(new Date().toISOString())} level=${level} msg=${quote(message)}`;
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) line += ` ${key}=${quote(String(value))}`;
    }
    this.#write(`${line}\n`);
  }
}

export class Phases {
  readonly #operation: string;
  readonly #logger: Logger;
  readonly #fields: LogFields = {};
  readonly #start = performance.now();
  #last = this.#start;

  constructor(operation: string, logger: Logger) {
    this.#operation = operation;
    this.#logger = logger;
  }

  mark(phase: string): void {
    const now = performance.now();
    this.#fields[phase] = Math.round((now - this.#last) * 100) / 100;
    this.#last = now;
  }

  done(fields: LogFields = {}): void {
    const total = Math.round((performance.now() - this.#start) * 100) / 100;
    this.#logger.debug(this.#operation, { ...fields, ...this.#fields, total });
  }
}

function quote(value: string): string {
  return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
}
