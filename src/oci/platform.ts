import { invalid } from '#/base/errors.ts';

/** A platform in normal form: Go's names for systems and processors, variants only where they say something. */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  'os.version'?: string;
  'os.features'?: string[];
}

/** Other names for processors, as containerd's platforms package folds them. */
const ARCHITECTURES = new Map<string, [architecture: string, variant?: string]>([
  ['i386', ['386']],
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['aarch64', ['arm64']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
]);

/** Normal form of a platform written by anyone. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase() === 'macos' ? 'darwin' : platform.os.toLowerCase();
  const named = platform.architecture.toLowerCase();
  const [architecture, implied] = ARCHITECTURES.get(named) ?? [named];
  let variant = implied ?? platform.variant?.toLowerCase();
  if (architecture === 'arm')
    variant = variant === undefined || variant === '' ? 'v7' : variant.replace(/^(?=\d)/, 'v');
  if (architecture === 'arm64' && (variant === '8' || variant === 'v8')) variant = undefined;
  if (architecture === 'amd64' && variant === 'v1') variant = undefined;
  const { variant: _, ...rest } = platform;
  return { ...rest, os, architecture, ...(variant === undefined || variant === '' ? {} : { variant }) };
}

const SYSTEMS = [
  'linux',
  'windows',
  'darwin',
  'freebsd',
  'netbsd',
  'openbsd',
  'solaris',
  'wasi',
  'wasip1',
  'js',
  'macos',
];

/** Parses `linux/arm64/v8`, `linux` or `arm64`. Throws `invalid` in containerd's words. */
export function parsePlatform(text: string, host: Platform = hostPlatform()): Platform {
  const parts = text.split('/');
  if (parts.length > 3) throw invalid(`"${text}": cannot parse platform specifier: invalid argument`);
  if (!parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part))) {
    throw invalid(`"${text}": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument`);
  }
  const [first = '', second, variant] = parts;
  if (second !== undefined) {
    return normalizePlatform({
      os: first,
      architecture: second,
      ...(variant === undefined ? {} : { variant }),
    });
  }
  if (SYSTEMS.includes(first.toLowerCase())) return normalizePlatform({ ...host, os: first });
  const architecture = normalizePlatform({ os: 'linux', architecture: first });
  if (!KNOWN.has(architecture.architecture)) {
    throw invalid(`"${text}": unknown operating system or architecture: invalid argument`);
  }
  return { ...architecture, os: host.os };
}

const KNOWN = new Set(
  '386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm'.split(' '),
);

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant]
    .filter((part) => part !== undefined)
    .join('/');
}

const HOST: Record<string, string> = { x64: 'amd64', ia32: '386', mipsel: 'mipsle' };

/** This machine's. Containers run Linux programs wherever the engine runs. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: 'linux', architecture: HOST[process.arch] ?? process.arch });
}

/** The platforms whose programs a machine of this platform runs, best first (containerd's `platformVector`). */
export function compatiblePlatforms(platform: Platform): Platform[] {
  const wanted = normalizePlatform(platform);
  const { variant, ...plain } = wanted;
  const version = Number(/^v(\d+)$/.exec(variant ?? '')?.[1] ?? Number.NaN);
  const older = (architecture: string, from: number, to: number): Platform[] =>
    Array.from({ length: Math.max(0, from - to + 1) }, (_, i) =>
      normalizePlatform({ ...plain, architecture, variant: `v${from - i}` }),
    );
  switch (wanted.architecture) {
    case 'amd64':
      return [...older('amd64', Number.isNaN(version) ? 1 : version, 1), { ...plain, architecture: '386' }];
    case 'arm':
      return older('arm', Number.isNaN(version) ? 7 : version, 5);
    case 'arm64':
      return [...older('arm64', Number.isNaN(version) ? 8 : version, 8), ...older('arm', 8, 5)];
    default:
      return [wanted];
  }
}

/** How well a platform serves: 0 is best, undefined not at all. */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
  const found = normalizePlatform(offered);
  const rank = compatiblePlatforms(wanted).findIndex(
    (candidate) =>
      candidate.os === found.os &&
      candidate.architecture === found.architecture &&
      candidate.variant === found.variant,
  );
  return rank < 0 ? undefined : rank;
}
