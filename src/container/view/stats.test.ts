import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onlineCpus, parseNetDev, systemCpuUsage } from './stats.ts';

test('systemCpuUsage() sums the first seven columns of all processors', () => {
  assert.equal(systemCpuUsage('cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1\n'), 28 * 10_000_000);
});

test('onlineCpus() counts the processors, not their sum', () => {
  assert.equal(onlineCpus('cpu  2 2 2\ncpu0 1 1 1\ncpu11 1 1 1\nintr 5\n'), 2);
});

test('parseNetDev() leaves out loopback and the headings', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       9       9    0    0    0     0          0         0        9       9    0    0    0     0       0          0
  eth0:    1000      10    1    2    0     0          0         0      500       5    3    4    0     0       0          0
`;
  assert.deepEqual(parseNetDev(text), {
    eth0: {
      rx_bytes: 1000,
      rx_packets: 10,
      rx_errors: 1,
      rx_dropped: 2,
      tx_bytes: 500,
      tx_packets: 5,
      tx_errors: 3,
      tx_dropped: 4,
    },
  });
});
