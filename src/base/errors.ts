/**
 * Every failure the engine expects is an EngineError of one of these kinds. The API maps each kind to one HTTP status
 * in one table; the words inside follow Docker's to the letter where a client shows or tests them.
 */
export type ErrorKind =
  | 'invalid'
  | 'unauthorized'
  | 'forbidden'
  | 'notFound'
  | 'conflict'
  | 'notModified'
  | 'unavailable'
  | 'notImplemented'
  | 'internal';

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

const maker =
  (kind: ErrorKind) =>
  (message: string, options?: ErrorOptions): EngineError =>
    new EngineError(kind, message, options);

/** The request itself is wrong: 400. */
export const invalid = maker('invalid');
export const unauthorized = maker('unauthorized');
export const forbidden = maker('forbidden');
export const notFound = maker('notFound');
/** The thing exists but its state forbids the action: 409. */
export const conflict = maker('conflict');
/** The wanted state already holds: 304, no body. */
export const notModified = maker('notModified');
export const unavailable = maker('unavailable');
/** Hull does not do this, by decision or not yet: 501 and a sentence. */
export const notImplemented = maker('notImplemented');
export const internal = maker('internal');

export function isKind(error: unknown, kind: ErrorKind): boolean {
  return error instanceof EngineError && error.kind === kind;
}

/** The `code` of a system error (`ENOENT`, `EEXIST`, …), if it is one. */
export function errnoCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
