import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  withDefaultTag,
} from './reference.ts';

const HEX = 'e'.repeat(64);

test('parseReference() adds docker.io/library', () => {
  const cases: [string, string, string][] = [
    ['busybox', 'docker.io/library/busybox', 'busybox'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
    ['docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox', 'busybox'],
    ['grafana/loki', 'docker.io/grafana/loki', 'grafana/loki'],
    ['library/a/b', 'docker.io/library/a/b', 'library/a/b'],
    ['localhost/x', 'localhost/x', 'localhost/x'],
    ['localhost:5000/x/y:z', 'localhost:5000/x/y:z', 'localhost:5000/x/y:z'],
    ['Host/x', 'Host/x', 'Host/x'],
    ['[::1]:5000/x', '[::1]:5000/x', '[::1]:5000/x'],
    ['ghcr.io/a/b_c/d--e', 'ghcr.io/a/b_c/d--e', 'ghcr.io/a/b_c/d--e'],
    [`busybox@sha256:${HEX}`, `docker.io/library/busybox@sha256:${HEX}`, `busybox@sha256:${HEX}`],
    [`busybox:1@sha256:${HEX}`, `docker.io/library/busybox:1@sha256:${HEX}`, `busybox:1@sha256:${HEX}`],
  ];
  for (const [text, full, familiar] of cases) {
    assert.equal(formatReference(parseReference(text)), full);
    assert.equal(familiarReference(parseReference(text)), familiar);
  }
});

test('parseReference() refuses in the words of Docker', () => {
  const cases: [string, string][] = [
    ['', 'invalid reference format'],
    ['Foo', 'invalid reference format: repository name (library/Foo) must be lowercase'],
    ['a/Foo:Tag', 'invalid reference format: repository name (a/Foo) must be lowercase'],
    [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
    ['busybox:', 'invalid reference format'],
    ['busybox:-x', 'invalid reference format'],
    ['-busybox', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    ['busybox@sha256:12', 'invalid reference format'],
    ['../../etc/passwd', 'invalid reference format'],
    ['a b', 'invalid reference format'],
    ['busybox\n', 'invalid reference format'],
    ['x'.repeat(300), 'repository name must not be more than 255 characters'],
  ];
  for (const [text, message] of cases) assert.throws(() => parseReference(text), { message });
});

test('withDefaultTag() adds latest only where nothing is said', () => {
  assert.equal(withDefaultTag(parseReference('a')).tag, 'latest');
  assert.equal(withDefaultTag(parseReference('a:b')).tag, 'b');
  assert.equal(withDefaultTag(parseReference(`a@sha256:${HEX}`)).tag, undefined);
});

const component = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?$/);
const domain = fc.constantFrom('', 'localhost/', 'example.com/', 'r.example.com:5000/', 'docker.io/');
const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}$/), { nil: undefined });

test('parseReference() reads the familiar form back as the same reference', () => {
  fc.assert(
    fc.property(domain, fc.array(component, { minLength: 1, maxLength: 3 }), tag, (host, parts, tag) => {
      const reference = parseReference(`${host}${parts.join('/')}${tag === undefined ? '' : `:${tag}`}`);
      assert.deepEqual(parseReference(familiarReference(reference)), reference);
      assert.deepEqual(parseReference(formatReference(reference)), reference);
      assert.ok(formatReference(reference).includes(familiarName(reference)));
    }),
  );
});

test('parseReference() accepts or refuses any text and never hangs', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9._:/@-]{0,80}$/)), (text) => {
      try {
        const reference = parseReference(text);
        assert.deepEqual(parseReference(formatReference(reference)), reference);
      } catch (error) {
        assert.ok(error instanceof Error && error.name === 'EngineError', String(error));
      }
    }),
  );
});
