import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ioctl } from './libc.ts';
import { createNetns, removeNetns, withNetns } from './namespaces.ts';
import { addVethPair, findLink, setLinkRequest } from './netlink/links.ts';
import { NetlinkSocket } from './netlink/socket.ts';
import { redirectRequests } from './netlink/traffic-control.ts';
import { makeTap } from './tap.ts';

const TUNSETIFF = 0x400454ca;
/** IFF_TAP, IFF_NO_PI and IFF_VNET_HDR, as makeTap() makes them. */
const FLAGS = 0x5002;
const VNET_HEADER = 10;
/** An experimental type of frame (IEEE 802), which nothing else sends. */
const ETHER_TYPE = 0x88b5;

const root = mkdtempSync(path.join(tmpdir(), 'hull-tap-'));
const [near, far] = [path.join(root, 'near'), path.join(root, 'far')];
createNetns(near);
createNetns(far);
after(() => {
  removeNetns(near);
  removeNetns(far);
  rmSync(root, { recursive: true });
});

test('makeTap() and redirectRequests(): frames go from an interface to the tap and back, and are seen by nobody else', async () => {
  using here = new NetlinkSocket(near);
  using there = new NetlinkSocket(far);
  makeTap(near, 'tap0');
  makeTap(far, 'tap0');
  addVethPair(here, { name: 'eth0', up: true }, { name: 'eth0', netns: far });
  for (const socket of [here, there]) {
    const [eth, tap] = ['eth0', 'tap0'].map((name) => findLink(socket, name)?.index ?? 0);
    assert.ok(eth && tap);
    socket.run(
      setLinkRequest(eth, { up: true }),
      setLinkRequest(tap, { up: true }),
      ...redirectRequests(eth, tap),
      ...redirectRequests(tap, eth),
    );
  }
  const [one, other] = [openTap(near), openTap(far)];
  try {
    for (const [from, to, word] of [
      [one, other, 'there'],
      [other, one, 'and back'],
    ] as const) {
      writeSync(from, frame(word));
      assert.equal(await receive(to), word);
    }
    // The namespace itself has had no such frame: it went on before any protocol saw it.
    const seen = withNetns(near, () => readFileSync('/proc/thread-self/net/ptype', 'utf8'));
    assert.ok(!seen.includes(ETHER_TYPE.toString(16)));
  } finally {
    closeSync(one);
    closeSync(other);
  }
  assert.ok(findLink(here, 'tap0'), 'it outlives whoever had it open');
});

test('makeTap() refuses a name that is taken, and redirectRequests() to do it twice', () => {
  using here = new NetlinkSocket(near);
  assert.throws(() => makeTap(near, 'eth0'), /TUNSETIFF/);
  const [eth, tap] = ['eth0', 'tap0'].map((name) => findLink(here, name)?.index ?? 0);
  assert.throws(() => here.run(...redirectRequests(eth ?? 0, tap ?? 0)), { code: 'EEXIST' });
});

function openTap(netns: string): number {
  return withNetns(netns, () => {
    const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
    const request = Buffer.alloc(40);
    request.write('tap0');
    request.writeUInt16LE(FLAGS, 16);
    ioctl(fd, TUNSETIFF, request, 'TUNSETIFF');
    return fd;
  });
}

function frame(word: string): Buffer {
  const bytes = Buffer.alloc(VNET_HEADER + 60);
  bytes.fill(0xff, VNET_HEADER, VNET_HEADER + 6);
  bytes.writeUInt8(2, VNET_HEADER + 6);
  bytes.writeUInt16BE(ETHER_TYPE, VNET_HEADER + 12);
  bytes.write(`${word}\0`, VNET_HEADER + 14);
  return bytes;
}

/** The word of the next frame of ours; the kernels' own are passed over. */
async function receive(fd: number): Promise<string> {
  const bytes = Buffer.alloc(2048);
  for (let tries = 0; tries < 200; tries++) {
    try {
      const length = readSync(fd, bytes);
      if (length > VNET_HEADER + 14 && bytes.readUInt16BE(VNET_HEADER + 12) === ETHER_TYPE)
        return (
          bytes
            .subarray(VNET_HEADER + 14, length)
            .toString()
            .split('\0')[0] ?? ''
        );
    } catch {
      await sleep(10);
    }
  }
  return 'nothing came';
}
