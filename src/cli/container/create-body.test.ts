import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { hull } from '../daemon.fixture.ts';
import { FlagSet } from '../flags/flag-set.ts';
import { parseFlagSpecs } from '../flags/flag-spec.ts';
import { createBody } from './create-body.ts';
import { CREATE_CHECKS } from './create-checks.ts';
import { CREATE_FLAGS, HIDDEN_CREATE_FLAGS } from './create-flags.ts';

/** Recorded from docker 28.2 against a server that keeps what it is sent: each body as its changes to the first. */
interface Fixtures {
  base: Record<string, unknown>;
  cases: { args: string[]; query?: string; changes: Record<string, unknown> }[];
}

const here = import.meta.dirname;
const fixtures = JSON.parse(readFileSync(path.join(here, 'create-body.fixtures.json'), 'utf8')) as Fixtures;
const place = (value: string): string =>
  value
    .replace('$CWD/..', path.dirname(here))
    .replace('$CWD', here)
    .replace('fixtures/', `${here}/fixtures/`);

function apply(base: Record<string, unknown>, changes: Record<string, unknown>): Record<string, unknown> {
  const result = structuredClone(base);
  for (const [key, change] of Object.entries(changes)) {
    if (change === '$GONE') delete result[key];
    else if (key === 'HostConfig') {
      result[key] = apply(base[key] as Record<string, unknown>, change as Record<string, unknown>);
    } else result[key] = change;
  }
  return result;
}

function parse(argv: string[]): FlagSet {
  const extra = '--pull string\n  -d, --detach';
  const specs = parseFlagSpecs(`${CREATE_FLAGS}\n${HIDDEN_CREATE_FLAGS}\n${extra}`);
  const flags = new FlagSet(specs, CREATE_CHECKS);
  flags.parse(argv, false);
  return flags;
}

const sorted = (body: Record<string, unknown>): unknown => {
  const host = body['HostConfig'] as Record<string, unknown>;
  // Docker keeps volumes in a map, so their order is any.
  if (Array.isArray(host['Binds'])) host['Binds'] = [...(host['Binds'] as string[])].sort();
  return JSON.parse(JSON.stringify(body));
};

for (const { args, changes } of fixtures.cases) {
  test(`createBody() sends what docker sends for "${args.join(' ')}"`, () => {
    process.env['HOME'] ??= '/root';
    const flags = parse(args.map(place));
    const expected = JSON.parse(
      JSON.stringify(apply(fixtures.base, changes), (_, value: unknown) =>
        typeof value === 'string' ? place(value).replace('HOME=/root', `HOME=${process.env['HOME']}`) : value,
      ),
    ) as Record<string, unknown>;
    const body = createBody(flags, flags.args, { env: process.env, cwd: here });
    assert.deepEqual(sorted(body), sorted(expected));
  });
}

/** What docker 28.2 refuses while it reads the command line, and the first line it says of it. */
const refusals = JSON.parse(readFileSync(path.join(here, 'create-refusals.fixtures.json'), 'utf8')) as {
  args: string[];
  code: number;
  message: string;
}[];

for (const { args, code, message } of refusals) {
  test(`hull create ${args.join(' ')}: ${message}`, async () => {
    const result = await hull({ host: 'unix:///nosuch' }, ['create', ...args]);
    const [first = ''] = result.stderr.split('\n');
    assert.deepEqual([result.code, first.replace(/^hull: /, '')], [code, message]);
  });
}
