/**
 * Builds dist/: one CommonJS bundle a program, the workers' bundles beside them, and the programs in C.
 *
 *     scripts/node scripts/build.ts
 *
 * CommonJS because an ESM import of node:http reads lazy getters and loads a whole fetch client: 40 ms and 15 MB for nothing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const ROOT = path.join(import.meta.dirname, '..');
const DIST = path.join(ROOT, 'dist');

/** Bundle -> its entry. The names are what bin/ runs and what the code asks for beside itself. */
const BUNDLES: Record<string, string> = {
  hulld: 'src/main/daemon.ts',
  hull: 'src/main/cli-loader.ts',
  'hull-main': 'src/main/cli.ts',
  'layer-writer': 'src/snapshot/layer-writer.ts',
};
const C_PROGRAMS = [
  'src/runtime/monitor/build.sh',
  'src/runtime/microvm/host/build.sh',
  'src/runtime/microvm/guest/build.sh',
  'src/host/namespace-maker/build.sh',
];

const entryPoints = Object.fromEntries(
  Object.entries(BUNDLES).filter(([, entry]) => existsSync(path.join(ROOT, entry))),
);

function gitCommit(): string {
  const result = spawnSync('git', ['rev-parse', '--short=7', 'HEAD'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 5000,
  });
  return result.status === 0 ? result.stdout.trim() : '';
}

mkdirSync(DIST, { recursive: true });
await build({
  absWorkingDir: ROOT,
  entryPoints,
  outdir: DIST,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'cjs',
  // Only white space and syntax: names stay, for stack traces that a reader understands.
  minifyWhitespace: true,
  minifySyntax: true,
  // Its native part is a file beside it.
  external: ['koffi'],
  define: {
    'process.env.HULL_BUILD_TIME': JSON.stringify(new Date().toISOString()),
    'process.env.HULL_GIT_COMMIT': JSON.stringify(gitCommit()),
  },
  // `import.meta.dirname` stands only where a file is looked for when run as TypeScript; the bundles have __dirname.
  logOverride: { 'empty-import-meta': 'silent' },
  plugins: [
    {
      name: 'rooms',
      setup(builder): void {
        builder.onResolve({ filter: /^#\// }, (args) => ({
          path: path.join(ROOT, 'src', args.path.slice(2)),
        }));
      },
    },
  ],
});

for (const script of C_PROGRAMS) {
  const made = spawnSync('sh', [path.join(ROOT, script)], { stdio: 'inherit', timeout: 120_000 });
  if (made.status !== 0) throw new Error(`Cannot build with "${script}": exit code ${made.status}`);
}

const cached = spawnSync(process.execPath, [path.join(ROOT, 'scripts/cache-cli.ts'), DIST], {
  stdio: 'inherit',
  timeout: 60_000,
});
if (cached.status !== 0) throw new Error(`Cannot cache the client's code: exit code ${cached.status}`);
