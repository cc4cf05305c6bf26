import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkNames, linkVariables, parseLink } from './links.ts';
import type { ContainerRecord } from '../record.ts';

test('parseLink() reads what clients give and what inspect shows', () => {
  assert.deepEqual(parseLink('db'), { name: 'db', alias: 'db' });
  assert.deepEqual(parseLink('db:store'), { name: 'db', alias: 'store' });
  assert.deepEqual(parseLink('/db:/web/store'), { name: 'db', alias: 'store' });
  assert.throws(() => parseLink(''), { message: 'empty string specified for links' });
  assert.throws(() => parseLink('a:b:c'), { message: 'bad format for links: a:b:c' });
});

test('linkVariables() tells of ports, of runs of them, and of the environment at the other end', () => {
  const target = {
    config: {
      ExposedPorts: { '81/tcp': {}, '80/tcp': {}, '80/udp': {}, '82/tcp': {} },
      Env: ['A=1', 'B=x=y', 'HOME=/root', 'PATH=/bin', 'BARE'],
    },
  };
  const variables = linkVariables('web', { alias: 'my-db', address: '10.0.0.3', target });
  assert.deepEqual(
    variables.filter((variable) => !/_(ADDR|PROTO)=|_\d+_\w+_PORT=/.test(variable)),
    [
      'MY_DB_NAME=/web/my-db',
      'MY_DB_PORT=tcp://10.0.0.3:80',
      'MY_DB_PORT_80_TCP=tcp://10.0.0.3:80',
      'MY_DB_PORT_80_UDP=udp://10.0.0.3:80',
      'MY_DB_PORT_81_TCP=tcp://10.0.0.3:81',
      'MY_DB_PORT_82_TCP=tcp://10.0.0.3:82',
      'MY_DB_PORT_81_TCP_START=tcp://10.0.0.3:81',
      'MY_DB_PORT_81_TCP_PORT_START=81',
      'MY_DB_PORT_81_TCP_END=tcp://10.0.0.3:82',
      'MY_DB_PORT_81_TCP_PORT_END=82',
      'MY_DB_ENV_A=1',
      'MY_DB_ENV_B=x=y',
    ],
  );
  for (const variable of [
    'MY_DB_PORT_80_UDP_ADDR=10.0.0.3',
    'MY_DB_PORT_80_UDP_PROTO=udp',
    'MY_DB_PORT_80_UDP_PORT=80',
  ])
    assert.ok(variables.includes(variable), variable);
});

test('linkNames() has each name once', () => {
  const target = { name: 'db', config: { Hostname: 'abc' } } as unknown as ContainerRecord;
  assert.deepEqual(linkNames({ alias: 'store', address: '', target }), ['store', 'abc', 'db']);
  assert.deepEqual(linkNames({ alias: 'db', address: '', target }), ['db', 'abc']);
});
