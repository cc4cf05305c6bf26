import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlagError, FlagSet } from './flag-set.ts';
import { parseFlagSpecs } from './flag-spec.ts';

const SPECS = parseFlagSpecs(`
  -d, --detach  Run in background
  -e, --env list  Set variables
  -i, --interactive  Keep STDIN open
  -t, --tty  Allocate a pseudo-TTY
  -m, --memory bytes  Memory limit
  -p, --publish list  Publish
      --name string  Name
      --cpus decimal  CPUs
      --rm  Remove
      --opt map  Options
      --subnet strings  Subnets
      --retries int  Retries
      --interval duration  Interval
      --weight uint16  Weight
`);

function parse(argv: string[], interspersed = true): FlagSet {
  const flags = new FlagSet(SPECS);
  flags.parse(argv, interspersed);
  return flags;
}

test('FlagSet bundles shorthands, the last with its value', () => {
  const flags = parse(['-itdeA=1', '-p80:80', '-p=81:81', '-m', '5m', 'rest']);
  assert.ok(flags.bool('interactive') && flags.bool('tty') && flags.bool('detach'));
  assert.deepEqual(flags.list('env'), ['A=1']);
  assert.deepEqual(flags.list('publish'), ['80:80', '81:81']);
  assert.equal(flags.number('memory'), 5 * 1024 * 1024);
  assert.deepEqual(flags.args, ['rest']);
});

test('FlagSet reads long flags with and without "=", and booleans only with', () => {
  const flags = parse(['--name=x', '--env', 'A', '--rm=false', '--tty=T', '--name', 'y']);
  assert.equal(flags.string('name'), 'y');
  assert.deepEqual(flags.list('env'), ['A']);
  assert.equal(flags.bool('rm', true), false);
  assert.equal(flags.bool('tty'), true);
  assert.equal(flags.changed('detach'), false);
});

test('FlagSet ends at "--" and, where not interspersed, at the first argument', () => {
  assert.deepEqual(parse(['--rm', '--', '--name', 'x']).args, ['--name', 'x']);
  assert.deepEqual(parse(['--rm', 'image', '--rm', '-x'], false).args, ['image', '--rm', '-x']);
  assert.deepEqual(parse(['a', '--rm', 'b', '-']).args, ['a', 'b', '-']);
});

test('FlagSet splits values of type strings at commas, and of no other', () => {
  const flags = parse(['--subnet', 'a,b', '--subnet=c', '--env', 'a,b', '--opt', 'k=v', '--opt', 'l=w']);
  assert.deepEqual(flags.list('subnet'), ['a', 'b', 'c']);
  assert.deepEqual(flags.list('env'), ['a,b']);
  assert.deepEqual(flags.list('opt'), ['k=v', 'l=w']);
});

test('FlagSet checks numbers, sizes and durations', () => {
  const flags = parse([
    '--cpus',
    '1.5',
    '--retries=0x10',
    '--interval',
    '1m30.5s',
    '--weight',
    '300',
    '-m',
    '1.5g',
  ]);
  assert.equal(flags.number('cpus'), 1.5e9);
  assert.equal(flags.number('retries'), 16);
  assert.equal(flags.number('interval'), 90.5e9);
  assert.equal(flags.number('memory'), 1.5 * 2 ** 30);
});

/** Command line, and the words of docker 28. */
const WRONG: readonly [string[], string][] = [
  [['--x'], 'unknown flag: --x'],
  [['-x'], "unknown shorthand flag: 'x' in -x"],
  [['-itz'], "unknown shorthand flag: 'z' in -z"],
  [['--name'], 'flag needs an argument: --name'],
  [['-e'], "flag needs an argument: 'e' in -e"],
  [['--=x'], 'bad flag syntax: --=x'],
  [['---'], 'bad flag syntax: ---'],
  [['--rm=x'], 'invalid argument "x" for "--rm" flag: strconv.ParseBool: parsing "x": invalid syntax'],
  [['-m', 'xx'], `invalid argument "xx" for "-m, --memory" flag: invalid size: 'xx'`],
  [['-m', '1kbb'], `invalid argument "1kbb" for "-m, --memory" flag: invalid suffix: 'kbb'`],
  [
    ['-m', '1.5.5m'],
    'invalid argument "1.5.5m" for "-m, --memory" flag: strconv.ParseFloat: parsing "1.5.5": invalid syntax',
  ],
  [
    ['--retries', 'x'],
    'invalid argument "x" for "--retries" flag: strconv.ParseInt: parsing "x": invalid syntax',
  ],
  [
    ['--weight', '70000'],
    'invalid argument "70000" for "--weight" flag: strconv.ParseUint: parsing "70000": value out of range',
  ],
  [['--interval', '5'], 'invalid argument "5" for "--interval" flag: time: missing unit in duration "5"'],
  [['--interval', 'x'], 'invalid argument "x" for "--interval" flag: time: invalid duration "x"'],
  [
    ['--interval', '5y'],
    'invalid argument "5y" for "--interval" flag: time: unknown unit "y" in duration "5y"',
  ],
  [['--cpus', 'x'], 'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number'],
  [['--cpus', '1.00000000001'], 'invalid argument "1.00000000001" for "--cpus" flag: value is too precise'],
];

for (const [argv, message] of WRONG) {
  test(`FlagSet refuses "${argv.join(' ')}" in docker's words`, () => {
    assert.throws(
      () => parse(argv),
      (error) => error instanceof FlagError && error.message === message,
    );
  });
}
