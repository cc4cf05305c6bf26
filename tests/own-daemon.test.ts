import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

import { CHECKOUT } from './daemons.ts';
import { assertNoLeaks, hostSnapshot } from './leaks.ts';

/**
 * The CLI starts a daemon on the host's own places when nobody listens there. So that the host's engine is never touched, this
 * happens in namespaces of its own, with empty directories in those places; with the first process everything in them ends.
 */
function onFreshHost(script: string): { status: number | null; output: string } {
  const places = ['/run', '/var/lib', '/var/log'];
  const setUp = [
    'set -e',
    ...places.map((place) => `mount -t tmpfs tmpfs ${place}`),
    'ip link set lo up',
    `hull=${path.join(CHECKOUT, 'bin/hull')}`,
    'unset DOCKER_HOST HULL_HOST',
  ];
  const done = spawnSync(
    'unshare',
    [
      '--mount',
      '--net',
      '--pid',
      '--ipc',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-c',
      [...setUp, script].join('\n'),
    ],
    {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    },
  );
  return { status: done.status, output: done.stdout + done.stderr };
}

test('hull starts hulld when none listens', async (context) => {
  const before = hostSnapshot();

  await context.test('the first command is answered, and the daemon stays for the next', () => {
    const { status, output } = onFreshHost(`
      $hull ps --format '{{.ID}}'
      first=$(cat /run/hull/hulld.pid)
      $hull version --format '{{.Server.Os}}'
      [ "$first" = "$(cat /run/hull/hulld.pid)" ] && echo the same
      test -s /var/log/hulld.log || echo no log`);
    assert.equal(output, 'linux\nthe same\n');
    assert.equal(status, 0);
  });

  await context.test('commands that come at once start one daemon', () => {
    const { status, output } = onFreshHost(`
      for each in 1 2 3 4 5; do $hull volume create v$each & done
      wait
      $hull volume ls -q
      # Those that came too late are on their way out.
      for each in $(seq 50); do
        count=$(grep -l node-MainThread /proc/[0-9]*/comm | wc -l)
        [ "$count" -gt 1 ] || break
        sleep 0.1
      done
      echo $count`);
    assert.equal(status, 0, output);
    const lines = output.trim().split('\n');
    assert.deepEqual(lines.slice(0, 5).toSorted(), ['v1', 'v2', 'v3', 'v4', 'v5']);
    assert.deepEqual(lines.slice(5), ['v1', 'v2', 'v3', 'v4', 'v5', '1']);
  });

  await context.test('a daemon that cannot start is told of, with its log', () => {
    const { status, output } = onFreshHost(`
      touch /var/lib/hull
      $hull ps`);
    assert.equal(status, 1, output);
    assert.match(output, /var\/lib\/hull/);
    assert.match(output, /var\/log\/hulld.log/);
  });

  await context.test('an engine that was named is not started', () => {
    const { status, output } = onFreshHost('$hull -H unix:///run/hull/hull.sock ps');
    assert.equal(status, 1);
    assert.match(output, /Is the (docker|hull) daemon running\?|failed to connect/);
  });

  await assertNoLeaks(before);
});
