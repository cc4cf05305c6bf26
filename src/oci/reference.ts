import { invalid } from '#/base/errors.ts';

/**
 * A name of an image, normalised as Docker does (distribution's `reference` package): `busybox` is
 * `docker.io/library/busybox`. The grammar is that package's, the words of the errors too.
 */
export interface Reference {
  /** `docker.io`, `localhost:5000`, … */
  readonly domain: string;
  /** `library/busybox` */
  readonly path: string;
  readonly tag?: string;
  /** Of any algorithm; only sha256 ones can name something here. */
  readonly digest?: string;
}

const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DOMAIN = 'index.docker.io';
const OFFICIAL = 'library/';
const LONGEST_NAME = 255;

const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const PATTERN = new RegExp(`^(${DOMAIN})/(${COMPONENT}(?:/${COMPONENT})*)(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const TAG_PATTERN = new RegExp(`^${TAG}$`);
const IDENTIFIER = /^[a-f0-9]{64}$/;

/** Throws `invalid` in Docker's words. The tag stays absent when none is given. */
export function parseReference(text: string): Reference {
  if (IDENTIFIER.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const [domain, remainder] = splitDomain(text);
  const colon = remainder.indexOf(':');
  const remote = colon < 0 ? remainder : remainder.slice(0, colon);
  if (remote.toLowerCase() !== remote) {
    throw invalid(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  const match = PATTERN.exec(`${domain}/${remainder}`);
  if (match === null) throw invalid('invalid reference format');
  const [, parsedDomain = '', path = '', tag, digest] = match;
  if (path.length > LONGEST_NAME) {
    throw invalid(`repository name must not be more than ${LONGEST_NAME} characters`);
  }
  return {
    domain: parsedDomain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** What is before the first slash is a host only if it looks like one: a dot, a port, `localhost` or capitals. */
function splitDomain(text: string): [string, string] {
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(slash, 0));
  const isHost = slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  const domain = isHost && first !== LEGACY_DOMAIN ? first : DEFAULT_DOMAIN;
  const remainder = isHost ? text.slice(slash + 1) : text;
  return [domain, domain === DEFAULT_DOMAIN && !remainder.includes('/') ? OFFICIAL + remainder : remainder];
}

export function isTag(text: string): boolean {
  return TAG_PATTERN.test(text);
}

/** With `latest` where there is neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: 'latest' }
    : reference;
}

/** `docker.io/library/busybox` */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The repository as people write it: `busybox`. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryName(reference);
  const official = reference.path.startsWith(OFFICIAL) ? reference.path.slice(OFFICIAL.length) : '';
  if (official !== '' && !official.includes('/')) return official;
  // `docker.io/a.b/c` without its domain would be c on the host a.b.
  return splitDomain(reference.path)[1] === reference.path ? reference.path : repositoryName(reference);
}

/** The whole reference as people write it: `busybox:1.36`. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

/** The whole reference with its domain: `docker.io/library/busybox:1.36`. */
export function formatReference(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}
