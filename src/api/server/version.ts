import { invalid } from '#/base/errors.ts';

export const NEWEST_VERSION = '1.56';
export const OLDEST_VERSION = '1.24';

/** The API version of one request: what it was prefixed with, else the newest. */
export class ApiVersion {
  readonly text: string;

  constructor(text = NEWEST_VERSION) {
    this.text = text;
  }

  /** Whether the client speaks an API older than `version`, as in `1.44`. */
  below(version: string): boolean {
    return compareVersions(this.text, version) < 0;
  }
}

/** Versions as moby compares them: numbers between dots, missing ones are 0. */
export function compareVersions(left: string, right: string): number {
  const a = left.split('.');
  const b = right.split('.');
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = Number(a[index] || 0) - Number(b[index] || 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** Splits `/v1.44/containers/json` into version and path; without a prefix there is no version. */
export function splitVersion(pathname: string): { version?: string; path: string } {
  const match = /^\/v([0-9.]+)(\/.*)$/.exec(pathname);
  return match === null ? { path: pathname } : { version: match[1] ?? '', path: match[2] ?? '/' };
}

/** Refuses a version outside of what is spoken, in Docker's words (moby's api/server/middleware/version.go). */
export function checkVersion(version: string): ApiVersion {
  if (compareVersions(version, OLDEST_VERSION) < 0) {
    throw invalid(
      `client version ${version} is too old. Minimum supported API version is ${OLDEST_VERSION}, please upgrade your client to a newer version`,
    );
  }
  if (compareVersions(version, NEWEST_VERSION) > 0) {
    throw invalid(`client version ${version} is too new. Maximum supported API version is ${NEWEST_VERSION}`);
  }
  return new ApiVersion(version);
}
