/**
 * The second wall: the same checks against a Hull whose containers are microVMs. What a microVM cannot pass by its nature is listed here
 * with its reason, and in docs/ISOLATION.md; every check not listed holds behind both walls.
 */

/** Subjects that run behind the second wall in every run; `HULL_TEST_VM_ALL=1` runs all others there, too. */
export const BEHIND_BOTH_WALLS: ReadonlySet<string> = new Set([
  'attach',
  'checkpoints',
  'checkpoints of what runs',
  'checkpoints in Hull',
  'containers',
  'exec',
  'isolation',
  'logs',
  'mounts',
  'networks',
  'volumes',
]);

const NAMESPACES =
  'a guest has a kernel of its own: it joins no namespace of the host’s but the network’s, and asking for one is refused';
const DEVICES = 'a guest has the devices that QEMU makes for it; asking for one of the host’s is refused';
const AROUND = 'which processors a VM has, and how much of them, is set around it and not to be seen in it';
const BELOW =
  'a guest mounts what is mounted below a bind when it gets there, as read-only as the way it got there';
const BLOCKS =
  'what a guest wrote is counted in the blocks that its disk takes: nobody else looks into its filesystem';

const UNMAPPED =
  'root in a guest is nobody outside without a user namespace; with one, mounts of the host are refused, where its ids would be the host’s';

/** By "subject: check". With `HULL_TEST_VM_ALL=1` they are run and must fail: an exception that is none any more is an error. */
export const NOT_IN_VM: Record<string, string> = {
  'isolation: the namespaces of the host where asked for': NAMESPACES,
  "isolation: another container's pid namespace": NAMESPACES,
  'isolation: a device of the host': DEVICES,
  'exec: answers before it runs, so that no output comes in one piece with the headers':
    'the check compares the uptime of the host with that of the guest, which began at another time',
  'networks: UDP is published, and the answer finds its way back':
    'the server of the check is a process of the host in the container’s network namespace, where a VM has no addresses',
  'options: a parent of its cgroup, however it is written':
    'the parent is that of the VM as a whole; a guest has cgroups of its own',
  'security: no user of the host walks into a root filesystem, where there may be setuid programs':
    'no root filesystem is mounted on the host',
  'mounts: a read-only bind before API 1.44 leaves what is mounted below as it is': BELOW,
  'mounts: a read-only bind leaves what is mounted below as it is where told to': BELOW,
  'mounts: a pipe in a bind mount has its other end on the host':
    'the two ends of a pipe, or of a socket, are in the memory of one kernel',
  'resources: cpus, cpusets, shares, reservation and swappiness reach the cgroup': AROUND,
  'resources: an update changes processors and swap of a running container, and keeps them': AROUND,
  'storage limits: what was written is counted to the byte': BLOCKS,
  'storage limits: what a kill leaves mounted of disks that nobody uses is taken away':
    'the host mounts no disk of a microVM',
  'namespaces: a shareable IPC is shared: /dev/shm, its size, and System V objects': NAMESPACES,
  'namespaces: a joined container names its target by id, whatever the request said': NAMESPACES,
  'namespaces: one who joined keeps the memory after the owner has ended, and the owner gets a new one':
    NAMESPACES,
  'namespaces: an IPC that is not shareable cannot be joined': NAMESPACES,
  'namespaces: nothing joins a container that does not run, or is not there': NAMESPACES,
  'namespaces: a chain of shares ends where it began': NAMESPACES,
  'namespaces: sysctls that are the host’s are refused': NAMESPACES,
  'namespaces: a cgroup namespace of its own, or the host’s': NAMESPACES,
  'namespaces: what a daemon that was killed left shared is still shared, and goes with its owner':
    NAMESPACES,
  'devices: a device under another name, with less access than it has': DEVICES,
  'devices: a directory of devices, and a link to a device': DEVICES,
  'devices: a rule lets the container use a device that it makes itself': DEVICES,
  'devices: what is no device fails the start': DEVICES,
  'devices: devices without a driver fail the start': DEVICES,
  'devices: what was asked for is shown again': DEVICES,
  'checkpoints in Hull: what CRIU does not take is told, and the container runs on': DEVICES,
  'user namespaces: root inside is nobody outside': UNMAPPED,
  'user namespaces: a volume is its root’s, and filled from the image with the owners there': UNMAPPED,
  'user namespaces: a bind mount keeps its owners: what is the host’s root’s is nobody’s inside': UNMAPPED,
  'user namespaces: what would reach into the host is refused': NAMESPACES,
  'user namespaces: who shares a namespace with another container shares its user namespace': NAMESPACES,
  'user namespaces: /proc and /sys are read-only where they are elsewhere, and devices cannot be made':
    'root in a guest is that of its kernel, and may make device files',
  'user namespaces: the IPC of the host can be shared: its message queues stay unseen': NAMESPACES,
  'user namespaces: a daemon that was killed finds its containers, and what it kept goes with them':
    'no user namespace is kept for a guest',
};
