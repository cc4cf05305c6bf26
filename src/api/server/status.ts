import { EngineError, type ErrorKind, messageOf } from '#/base/errors.ts';

const STATUS: Record<ErrorKind, number> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  conflict: 409,
  notModified: 304,
  unavailable: 503,
  notImplemented: 501,
  internal: 500,
};

/** The one place where a failure becomes an HTTP status. */
export function statusOf(error: unknown): { status: number; message: string } {
  return { status: error instanceof EngineError ? STATUS[error.kind] : 500, message: messageOf(error) };
}
