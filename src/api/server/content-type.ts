import type { IncomingMessage } from 'node:http';
import { invalid } from '#/base/errors.ts';

/** Whether the client sends a body at all. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** A body must say that it is JSON (moby's api/server/httputils/httputils.go, CheckForJSON). */
export function checkForJson(request: IncomingMessage): void {
  const type = request.headers['content-type'];
  if (type === undefined && !hasBody(request)) return;
  const media = (type ?? '').split(';')[0]?.trim().toLowerCase();
  if (media === '') throw invalid(`malformed Content-Type header (${type ?? ''}): mime: no media type`);
  if (media !== 'application/json') {
    throw invalid(`unsupported Content-Type header (${type}): must be 'application/json'`);
  }
}
