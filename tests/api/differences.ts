/**
 * What Hull does otherwise than the dockerd it is tested beside (20.10, API 1.41), by "subject: check", with the reason. Every
 * check not listed holds for both.
 */
export const DIFFERENCES: Record<string, string> = {
  'system: an exec that a client detached from is told':
    '20.10 does not tell of it; later ones publish exec_detach, as Hull does',
  'user namespaces: the IPC of the host can be shared: its message queues stay unseen':
    'runc cannot mount the queues of a namespace that belongs to the host, and so does not start the container; Hull leaves them out',
  'user namespaces: a domain name is set by whoever is not the host’s root':
    'dockerd has it set as a sysctl, which only the host’s root may; Hull has crun set it by a system call',
  'user namespaces: what is copied out has the owners that the container knows':
    'dockerd maps the owners of what it unpacks, and packs them as the host numbers them: a copy out and in again would be nobody’s',
  'user namespaces: an image is the same in a user namespace and without':
    'dockerd keeps its layers as the remapped user’s, so that they are wrong for a container that opts out; Hull maps them when it mounts them',
  'images: a platform that the image does not have is not found': 'parameters of API 1.48 to 1.50',
  'containers: wait with an unknown condition is 400':
    '20.10 takes an unknown condition for "not-running"; later ones refuse it, as Hull does',
  'resources: what cannot be updated comes back as a warning':
    'dockerd takes limits in an update that it never looks at; Hull says which it leaves alone',
  'mounts: a read-only bind is so for what is mounted below': 'options of API 1.44',
  'mounts: a read-only bind leaves what is mounted below as it is where told to': 'options of API 1.44',
  'mounts: a bind makes its source where it is told to': 'an option of API 1.42',
  'mounts: a part of a volume, and nothing outside it': 'an option of API 1.45',
  'storage limits: a container writes no more than it may': 'dockerd needs xfs with project quotas for this',
  'storage limits: what was written is there after a restart, and can be looked at':
    'dockerd needs xfs with project quotas for this',
  'storage limits: what was written is counted to the byte': 'dockerd needs xfs with project quotas for this',
  'storage limits: a running container’s disk outlives the engine':
    'dockerd needs xfs with project quotas for this',
  'storage limits: what a kill leaves mounted of disks that nobody uses is taken away':
    'dockerd needs xfs with project quotas for this',
  'mounts: an image is mounted read-only, and is in use': 'a type of API 1.48',
  'security: writable cgroups are writable': '20.10 does not know the option; 28 does, as Hull',
  'security: what has no effect on this host comes back as a warning':
    'dockerd says nothing of labels that it does not set',
};

/** Differences that show only on some hosts: there dockerd may fail the check, and may pass it elsewhere. */
export const HOST_DIFFERENCES: Record<string, string> = {
  'log drivers: json-file: follow misses nothing while files are rotated':
    'a follower of 20.10 may lose records, or see some twice, when the file is rotated faster than it reads',
  'log drivers: local: follow misses nothing while files are rotated': 'as json-file',
  'isolation: privileged: every capability the host has, no seccomp, nothing masked':
    'runc asks for every capability there is and fails where root lacks one (CAP_SYS_RESOURCE); Hull gives those that root has',
  'security: a privileged container is filtered where it asks for it':
    'runc fails on a privileged container where root lacks a capability, as above',
  'resources: a process killed for want of memory is told of while the container goes on':
    'dockerd hears of it from the shim, which does not get the notification on every host',
};
