import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLogConfig } from './log-drivers.ts';

const DEFAULTS = { Type: 'json-file', Config: { 'max-size': '1m', tag: 'x', 'cache-disabled': 'true' } };

test('checkLogConfig() adds the defaults to what a container with the default driver asks for', () => {
  assert.deepEqual(checkLogConfig(undefined, DEFAULTS), DEFAULTS);
  assert.deepEqual(checkLogConfig({ Type: 'json-file', Config: { 'max-size': '-1' } }, DEFAULTS), {
    Type: 'json-file',
    Config: { ...DEFAULTS.Config, 'max-size': '-1' },
  });
  // Of another driver's defaults only what is every driver's is of use.
  assert.deepEqual(checkLogConfig({ Type: 'local' }, DEFAULTS), {
    Type: 'local',
    Config: { 'cache-disabled': 'true' },
  });
  assert.deepEqual(checkLogConfig({ Type: '', Config: null }, { Type: 'none', Config: {} }), {
    Type: 'none',
    Config: {},
  });
});

test("checkLogConfig() refuses in Docker's words", () => {
  const cases: [string, Record<string, string>, string][] = [
    ['nosuch', {}, "logger: no log driver named 'nosuch' is registered"],
    ['json-file', { nosuch: '1' }, "unknown log opt 'nosuch' for json-file log driver"],
    ['json-file', { 'syslog-format': '' }, "unknown log opt 'syslog-format' for json-file log driver"],
    ['local', { nosuch: '1' }, "unknown log opt 'nosuch' for log driver local"],
    ['syslog', { 'max-size': '1' }, "unknown log opt 'max-size' for syslog log driver"],
    ['journald', { 'max-size': '1' }, "unknown log opt 'max-size' for journald log driver"],
    ['json-file', { mode: 'x' }, 'logger: logging mode not supported: x'],
    [
      'json-file',
      { 'max-buffer-size': '1m' },
      "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    ],
    [
      'json-file',
      { mode: 'non-blocking', 'max-buffer-size': 'x' },
      "error parsing option max-buffer-size: invalid size: 'x'",
    ],
    ['syslog', { 'cache-disabled': 'x' }, 'invalid value for option cache-disabled: x'],
    ['syslog', { 'syslog-facility': 'x' }, 'invalid syslog facility'],
    ['json-file', { 'max-size': 'x' }, "failed to initialize logging driver: invalid size: 'x'"],
    [
      'journald',
      { 'env-regex': '(' },
      'failed to initialize logging driver: error parsing regexp: missing closing ): `(`',
    ],
  ];
  for (const [Type, Config, message] of cases) {
    assert.throws(() => checkLogConfig({ Type, Config }, DEFAULTS), { kind: 'invalid', message }, message);
  }
});

test('checkLogConfig() asks nothing of "none"', () => {
  assert.doesNotThrow(() => checkLogConfig({ Type: 'none', Config: { nosuch: '1' } }, DEFAULTS));
});
