import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import type { EngineName } from '../daemons.ts';
import { ALLOWED, ALLOWED_CLI, ALLOWED_OLD_CLI } from './allowed.ts';
import { commands, dockerCliVersion, runCommands, type Outcome } from './run-commands.ts';

/** The same list of commands on two sides; line by line the same output and exit code, but for the few that are allowed. */
interface Side {
  engine: EngineName;
  program: 'docker' | 'hull';
}

const LIST = commands();
const isOldCli = dockerCliVersion() < 28;

function compare(
  title: string,
  expected: Side,
  actual: Side,
  allowed: Record<string, string>,
  relevant: (outcome: Outcome | undefined) => unknown = (outcome) => outcome,
): void {
  describe(title, () => {
    let wanted: Outcome[];
    let got: Outcome[];
    before(async () => {
      wanted = await outcomes(expected);
      got = await outcomes(actual);
    });
    for (const [index, command] of LIST.entries()) {
      test(command, (context) => {
        const reason = allowed[command];
        try {
          assert.deepEqual(relevant(got[index]), relevant(wanted[index]));
        } catch (error) {
          if (reason === undefined) throw error;
          context.diagnostic(`differs: ${reason}`);
        }
      });
    }
  });
}

const done = new Map<string, Promise<Outcome[]>>();

function outcomes({ engine, program }: Side): Promise<Outcome[]> {
  const key = `${engine} ${program}`;
  const known = done.get(key) ?? runCommands(engine, program, LIST);
  done.set(key, known);
  return known;
}

test('the list is long enough to mean something, and its allowances are of its lines', () => {
  assert.ok(LIST.length >= 400, `${LIST.length} commands`);
  for (const command of Object.keys({ ...ALLOWED, ...ALLOWED_CLI, ...ALLOWED_OLD_CLI })) {
    assert.ok(LIST.includes(command), `not in the list: ${command}`);
  }
});

compare(
  'docker CLI: hulld as dockerd',
  { engine: 'docker', program: 'docker' },
  { engine: 'hull', program: 'docker' },
  ALLOWED,
);
compare(
  'hulld: hull CLI as docker CLI',
  { engine: 'hull', program: 'docker' },
  { engine: 'hull', program: 'hull' },
  isOldCli ? { ...ALLOWED_CLI, ...ALLOWED_OLD_CLI } : ALLOWED_CLI,
  isOldCli ? withoutMessages : undefined,
);

/** An older docker writes addresses of IPv6 without brackets. */
function withoutMessages(outcome: Outcome | undefined): unknown {
  return { code: outcome?.code, stdout: outcome?.stdout.replaceAll(':::', '[::]:') };
}
