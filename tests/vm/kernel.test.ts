import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';

import type { Api } from '../api/client.ts';
import type { Daemon } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';
import { startVmDaemon, vm } from './vm-daemon.ts';

/** Docker's own limit; QEMU's microvm machine has far fewer places for disks. */
const LAYERS = 127;

/** What a container has of its own kernel that it would not have of the host's, and has of the host's as well. */
suite('a kernel of its own', { timeout: 300_000 }, () => {
  const snapshot = hostSnapshot();
  let daemon: Daemon;
  let api: Api;

  before(async () => {
    ({ daemon, api } = await startVmDaemon());
    // The first guest boots, the next go on from where it was saved.
    await api.output('true', vm());
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await assertNoLeaks(snapshot, [daemon.directory]);
  });

  test('any of its settings can be set', async () => {
    const Sysctls = {
      'vm.overcommit_memory': '1',
      'kernel.panic_on_oops': '1',
      'kernel/core_pattern': 'core.%p',
      'net.ipv4.ip_default_ttl': '34',
    };
    const files = 'vm/overcommit_memory kernel/panic_on_oops kernel/core_pattern net/ipv4/ip_default_ttl';
    for (const NetworkMode of ['default', 'host']) {
      const { stdout } = await api.output(`cd /proc/sys && cat ${files}`, vm({ Sysctls, NetworkMode }));
      assert.equal(stdout, '1\n1\ncore.%p\n34\n', NetworkMode);
    }
  });

  test('a setting that it does not have, or does not take, fails the start', async () => {
    for (const [Sysctls, words] of [
      [{ 'vm.nonesuch': '1' }, /`\/proc\/sys\/vm\/nonesuch`: No such file or directory/],
      [{ 'vm.overcommit_memory': '7' }, /`\/proc\/sys\/vm\/overcommit_memory`: Invalid argument/],
      [{ 'kernel.hostname': 'x' }, /conflicts with the OCI "hostname" field/],
      [{ 'vm/../../x': 'x' }, /not a name/],
    ] as const) {
      const id = await api.create({ Cmd: ['true'], ...vm({ Sysctls }) });
      await api.post(`/containers/${id}/start`).is([400, 500], { message: words });
    }
  });

  test(`an image of ${LAYERS} layers is one root behind either wall`, async () => {
    const image = busyboxImage();
    const layers = [...image.layers];
    while (layers.length < LAYERS) layers.push([{ name: `layer${layers.length}`, data: 'x' }]);
    await api
      .post('/images/load?quiet=1', dockerArchive([{ ...image, tags: ['many:layers'], layers }]))
      .is(200, (said) => !JSON.stringify(said).includes('error'));
    for (const wall of [{}, vm()]) {
      const { code, stdout } = await api.output(`ls / | grep -c layer; cat /layer1 /layer${LAYERS - 1}`, {
        ...wall,
        Image: 'many:layers',
      });
      assert.deepEqual([code, stdout], [0, `${LAYERS - 1}\nxx`]);
    }
  });
});
