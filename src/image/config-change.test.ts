import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageRunConfig } from '#/oci/image-config.ts';
import { applyChanges } from './config-change.ts';

test('applyChanges() applies every instruction', () => {
  const cases: [string, ImageRunConfig][] = [
    ['CMD ["sh", "-l"]', { Cmd: ['sh', '-l'] }],
    ['cmd echo $HOME', { Cmd: ['/bin/sh', '-c', 'echo $HOME'] }],
    ['CMD [ -e x ]', { Cmd: ['/bin/sh', '-c', '[ -e x ]'] }],
    ['ENTRYPOINT ["/init"]', { Entrypoint: ['/init'] }],
    ['ENV A=1 B="two words" C=x\\ y', { Env: ['A=1', 'B=two words', 'C=x y'] }],
    ['ENV A all the rest', { Env: ['A=all the rest'] }],
    [
      'EXPOSE 80 53/udp 8000-8001',
      { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} } },
    ],
    ['LABEL a=b "c d"=e', { Labels: { a: 'b', 'c d': 'e' } }],
    ['USER 1000:1000', { User: '1000:1000' }],
    ['VOLUME /a /b', { Volumes: { '/a': {}, '/b': {} } }],
    ['VOLUME ["/a b"]', { Volumes: { '/a b': {} } }],
    ['WORKDIR app', { WorkingDir: '/app' }],
    ['STOPSIGNAL SIGINT', { StopSignal: 'SIGINT' }],
    ['ONBUILD RUN make', { OnBuild: ['RUN make'] }],
    ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
    [
      'HEALTHCHECK --interval=1m30s --retries=3 CMD curl localhost',
      { Healthcheck: { Test: ['CMD-SHELL', 'curl localhost'], Interval: 90e9, Retries: 3 } },
    ],
  ];
  for (const [change, config] of cases) assert.deepEqual(applyChanges({}, [change]), config, change);
});

test('applyChanges() takes a new entrypoint for a reason to forget the command, unless one comes before', () => {
  const base: ImageRunConfig = { Cmd: ['old'] };
  for (const [changes, cmd] of [
    [['ENTRYPOINT ["/init"]'], undefined],
    [['CMD ["a"]', 'ENTRYPOINT ["/init"]'], ['a']],
    [['ENTRYPOINT ["/init"]', 'CMD ["a"]'], ['a']],
  ] as const) {
    assert.deepEqual(applyChanges(base, changes).Cmd, cmd, changes.join());
  }
});

test('applyChanges() changes a variable in its place and leaves the base as it was', () => {
  const base: ImageRunConfig = { Env: ['PATH=/bin', 'A=1'], WorkingDir: '/srv', Labels: { a: '1' } };
  const changed = applyChanges(base, ['ENV PATH=/usr/bin\nWORKDIR app', 'LABEL b=2']);
  assert.deepEqual(changed, {
    Env: ['PATH=/usr/bin', 'A=1'],
    WorkingDir: '/srv/app',
    Labels: { a: '1', b: '2' },
  });
  assert.deepEqual(base, { Env: ['PATH=/bin', 'A=1'], WorkingDir: '/srv', Labels: { a: '1' } });
});

test('applyChanges() refuses what is no change', () => {
  const cases: [string, RegExp][] = [
    ['RUN make', /run is not a valid change command/],
    ['constructor x', /constructor is not a valid change command/],
    ['ENV A', /ENV must have two arguments/],
    ['ENV A=1 B', /can't find = in "B"/],
    ['LABEL a="b', /matching double-quote/],
    ['EXPOSE 80000', /Invalid containerPort: 80000/],
    ['EXPOSE web', /Invalid containerPort: web/],
    ['USER a b', /USER requires exactly one argument/],
    ['ONBUILD FROM x', /FROM isn't allowed as an ONBUILD trigger/],
    ['HEALTHCHECK --interval=soon CMD x', /invalid duration "soon"/],
    ['HEALTHCHECK curl x', /Unknown type "CURL" in HEALTHCHECK/],
  ];
  for (const [change, message] of cases) assert.throws(() => applyChanges({}, [change]), message);
});
