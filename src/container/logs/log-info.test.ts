import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogInfo, logTag } from './log-info.ts';

const INFO: LogInfo = {
  options: {},
  containerId: '0123456789abcdef'.repeat(4),
  containerName: 'web',
  entrypoint: '/entry',
  args: ['-x', '1'],
  imageId: `sha256:${'ab'.repeat(32)}`,
  imageName: 'busybox:1',
  created: '2026-01-01T00:00:00Z',
  environment: ['A=1'],
  labels: { tier: 'front' },
};

const tagOf = (tag: string): string => logTag({ ...INFO, options: { tag } }, 'host1');

test('logTag() knows what there is to say of a container', () => {
  const cases: Record<string, string> = {
    '{{.ID}}': '0123456789ab',
    '{{.FullID}}': INFO.containerId,
    '{{.Name}}/{{.ContainerName}}': 'web//web',
    '{{.ImageName}} {{.ImageID}}': 'busybox:1 sha256:ababa',
    '{{.ImageFullID}} {{.ContainerImageID}}': `${INFO.imageId} ${INFO.imageId}`,
    '{{.DaemonName}}/{{.Hostname}}': 'docker/host1',
    '{{.Command}}': '/entry -x 1',
    '{{index .ContainerLabels "tier"}}': 'front',
    '{{upper .Name}}': 'WEB',
    plain: 'plain',
    '': '0123456789ab',
  };
  for (const [template, tag] of Object.entries(cases)) assert.equal(tagOf(template), tag, template);
});

test('logTag() refuses in the words of Go', () => {
  assert.throws(() => tagOf('{{.Foo}}'), {
    message:
      'template: log-tag:1:2: executing "log-tag" at <.Foo>: can\'t evaluate field Foo in type *logger.Info',
  });
  assert.throws(() => tagOf('{{'), { message: 'template: log-tag:1: unclosed action' });
});
