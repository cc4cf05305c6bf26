import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { EngineError, errnoCode, invalid, unavailable } from '#/base/errors.ts';
import { run, spawnStreaming } from '#/host/process.ts';
import type { Report } from '../progress.ts';
import { aptEnvironment, debianSources, releaseDate } from './apt-sources.ts';

/** A root filesystem on its way, and what its image says. */
export interface RootFilesystem extends AsyncDisposable {
  tar: Readable;
  changes: string[];
  /** RFC 3339. */
  created: string;
  comment: string;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DEADLINE_MS = 30 * 60_000;
const CLEANUP_MS = 60_000;

/** As Debian's own container images have them: no daemon starts with its package, and apt keeps nothing it could fetch again. */
const HOOKS = [
  String.raw`printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d" && chmod 755 "$1/usr/sbin/policy-rc.d"`,
  String.raw`printf 'APT::Keep-Downloaded-Packages "false";\nDPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };\nAcquire::Languages "none";\nAcquire::GzipIndexes "true";\n' > "$1/etc/apt/apt.conf.d/docker-clean"`,
  String.raw`printf 'force-unsafe-io\n' > "$1/etc/dpkg/dpkg.cfg.d/docker-unsafe-io"`,
  String.raw`rm -rf "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1/etc/hostname" "$1/etc/resolv.conf"`,
];

/** What Debian's `-slim` images leave out. */
const SLIM = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/info/*', '/usr/share/locale/*'];

/**
 * A suite of Debian (`bookworm`, `trixie`, `sid`, …; `-slim` without documentation) from its signed packages by mmdebstrap. The
 * same packages give the same bytes.
 */
export async function debianRootFilesystem(
  tag: string,
  mirror: string | undefined,
  report: Report,
  signal?: AbortSignal,
): Promise<RootFilesystem> {
  const match = /^([a-z]+)(-slim)?$/.exec(tag);
  if (match === null)
    throw invalid(`Cannot bootstrap Debian ${JSON.stringify(tag)}: want a suite, as in "debian:bookworm"`);
  const suite = match[1] === 'latest' ? 'stable' : (match[1] ?? '');
  const sources = await debianSources(suite, mirror, signal);
  const date = await releaseDate(sources, signal);
  const directory = await mkdtemp(path.join(tmpdir(), 'hull-bootstrap-'));
  // apt downloads as a user of its own.
  await chmod(directory, 0o755);
  const cleanup = async (): Promise<void> => {
    // A program that was killed may leave mounts behind: never delete through one.
    await run('rm', ['-rf', '--one-file-system', directory], { timeoutMs: CLEANUP_MS });
  };
  try {
    report({ status: `Installing Debian ${suite} from ${sources[0]?.uri} with mmdebstrap` });
    const { stdout } = await spawnStreaming(
      'mmdebstrap',
      [
        '--variant=minbase',
        '--format=tar',
        '--components=main',
        ...(match[2] === undefined ? [] : SLIM.map((excluded) => `--dpkgopt=path-exclude=${excluded}`)),
        ...HOOKS.map((hook) => `--customize-hook=${hook}`),
        suite,
        '-',
        ...sources.map((source) => `deb ${source.uri} ${source.suite} main`),
      ],
      {
        timeoutMs: DEADLINE_MS,
        env: { ...(await aptEnvironment(signal)), SOURCE_DATE_EPOCH: String(date), TMPDIR: directory },
        onStderr: stepReporter(report),
        ...(signal === undefined ? {} : { signal }),
      },
    );
    return {
      tar: stdout,
      changes: [`ENV PATH=${PATH}`, 'CMD ["bash"]'],
      created: new Date(date * 1000).toISOString().replace('.000', ''),
      comment: `Debian ${tag} from its packages, by mmdebstrap`,
      [Symbol.asyncDispose]: cleanup,
    };
  } catch (error) {
    await cleanup();
    throw missingPackage(error, 'mmdebstrap', `debian:${tag}`);
  }
}

/** What mmdebstrap says that tells a user how far it is, or what went wrong. */
const STEP =
  /^I: ((?:running apt-get|downloading|extracting|installing|creating|cleaning).*?)(?:\.\.\.)?$|^[WE]: (.*)$/;

/** Passes on the steps that mmdebstrap tells, a line each. */
function stepReporter(report: Report): (chunk: Buffer) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split(/[\r\n]/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const match = STEP.exec(line);
      if (match !== null) report({ status: `mmdebstrap: ${match[1] ?? match[2]}` });
    }
  };
}

/** Says what to install when a program of that Debian package is not there. */
export function missingPackage(error: unknown, name: string, image: string): unknown {
  if (error instanceof EngineError && errnoCode(error.cause) === 'ENOENT') {
    return unavailable(
      `Cannot bootstrap "${image}": ${name} is not installed; "apt-get install ${name}" installs it`,
      { cause: error },
    );
  }
  return error;
}
