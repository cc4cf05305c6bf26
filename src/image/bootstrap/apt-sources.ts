import { EngineError, errnoCode } from '#/base/errors.ts';
import { run } from '#/host/process.ts';

/** Where a Debian suite's packages come from: lines of a sources.list. */
export interface AptSource {
  uri: string;
  suite: string;
}

const MAIN = 'http://deb.debian.org/debian';
const SECURITY = 'http://deb.debian.org/debian-security';
const QUERY_MS = 20_000;
/** Suites that take no updates beside themselves. */
const ROLLING = new Set(['sid', 'unstable', 'experimental']);

/**
 * The sources of a suite: the host's own Debian mirrors where apt has some, Debian's else; with an explicit mirror that alone,
 * which need not have updates.
 */
export async function debianSources(
  suite: string,
  mirror: string | undefined,
  signal?: AbortSignal,
): Promise<AptSource[]> {
  if (mirror !== undefined) return [{ uri: mirror, suite }];
  const host = await hostMirrors(signal);
  const main = host.get('Debian') ?? MAIN;
  if (ROLLING.has(suite)) return [{ uri: main, suite }];
  return [
    { uri: main, suite },
    { uri: main, suite: `${suite}-updates` },
    { uri: host.get('Debian-Security') ?? SECURITY, suite: `${suite}-security` },
  ];
}

/** The repositories of Debian's that the host's apt is set up with, by the label of their Release file (apt-get(8), indextargets). */
async function hostMirrors(signal?: AbortSignal): Promise<Map<string, string>> {
  const mirrors = new Map<string, string>();
  const format = '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)';
  const query = ['indextargets', '--format', format, 'Created-By: Packages'];
  for (const line of (await answer('apt-get', query, signal)).split('\n')) {
    const [origin, label = '', component, uri = ''] = line.split('|');
    if (origin === 'Debian' && component === 'main' && !mirrors.has(label)) {
      mirrors.set(label, uri.replace(/\/$/, ''));
    }
  }
  return mirrors;
}

/** The environment of programs that fetch packages: the caller's own, with the proxy that apt is set up with. */
export async function aptEnvironment(signal?: AbortSignal): Promise<NodeJS.ProcessEnv> {
  const query = ['shell', 'http_proxy', 'Acquire::http::Proxy', 'https_proxy', 'Acquire::https::Proxy'];
  const settings = await answer('apt-config', query, signal);
  const proxies = [...settings.matchAll(/^(https?_proxy)='([^']*)'$/gm)];
  return {
    ...process.env,
    ...Object.fromEntries(proxies.map(([, name, value]) => [name, value])),
    DEBIAN_FRONTEND: 'noninteractive',
    LC_ALL: 'C.UTF-8',
  };
}

/** What a tool of apt's says; nothing where apt is not installed, as on a distribution of another family. */
async function answer(command: string, args: string[], signal?: AbortSignal): Promise<string> {
  try {
    const { code, stdout } = await run(command, args, {
      timeoutMs: QUERY_MS,
      ...(signal === undefined ? {} : { signal }),
    });
    return code === 0 ? stdout.toString('utf8') : '';
  } catch (error) {
    if (error instanceof EngineError && errnoCode(error.cause) === 'ENOENT') return '';
    throw error;
  }
}

/**
 * When a suite was last changed, in seconds since 1970, from its Release file: what makes the same packages the same image.
 * Now, to the day, when that cannot be had.
 */
export async function releaseDate(sources: readonly AptSource[], signal?: AbortSignal): Promise<number> {
  const dates = await Promise.all(
    sources.map(async ({ uri, suite }) => {
      try {
        const timeout = AbortSignal.timeout(QUERY_MS);
        const response = await fetch(`${uri}/dists/${suite}/InRelease`, {
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        });
        const date = /^Date: (.+)$/m.exec(response.ok ? await response.text() : '')?.[1];
        return date === undefined ? Number.NaN : Date.parse(date) / 1000;
      } catch {
        return Number.NaN;
      }
    }),
  );
  const known = dates.filter((date) => Number.isFinite(date));
  const day = 86_400;
  return known.length > 0 ? Math.max(...known) : Math.floor(Date.now() / 1000 / day) * day;
}
