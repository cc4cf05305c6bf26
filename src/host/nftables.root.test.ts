import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createNetns, removeNetns, withNetns } from './namespaces.ts';
import { NftablesContext } from './nftables.ts';

const root = mkdtempSync(path.join(tmpdir(), 'hull-nft-'));
const netns = path.join(root, 'ns');
createNetns(netns);
after(() => {
  removeNetns(netns);
  rmSync(root, { recursive: true });
});

const run = (script: string): string =>
  withNetns(netns, () => {
    using nft = new NftablesContext();
    return nft.run(script);
  });

test('NftablesContext runs a script as one transaction', () => {
  run('table ip t {\n map m { type inet_proto . inet_service : ipv4_addr . inet_service\n }\n}\n');
  run(
    'add element ip t m { tcp . 80 : 172.17.0.2 . 8080 }\nadd element ip t m { udp . 53 : 172.17.0.3 . 53 }',
  );
  assert.match(run('list map ip t m'), /tcp \. 80 : 172\.17\.0\.2 \. 8080/);
  assert.throws(
    () => run('add element ip t m { tcp . 81 : 172.17.0.2 . 81 }\ndelete element ip t m { tcp . 99 }'),
    /Cannot change the packet rules: .*Error: .*No such file or directory/,
  );
  assert.doesNotMatch(run('list map ip t m'), /81/);
});

test('NftablesContext says what nft says of a wrong script', () => {
  assert.throws(() => run('add rubbish'), /syntax error, unexpected/);
});
