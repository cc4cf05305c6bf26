/**
 * The commands whose output may differ between Hull and the dockerd beside it (20.10), with the reason of each. Every other line
 * of commands.txt must give the same output and exit code.
 */
export const ALLOWED: Record<string, string> = {
  'docker run --rm no/such:image true': 'Hull does not pull from registries yet, and says so',
  'docker run --rm busybox sh -c \'awk "{print \\$1, \\$2, \\$3}" /proc/mounts | grep -v "^overlay\\|/etc/\\|cgroup" | sort\'':
    'crun masks files with the host’s /dev/null, runc with that of the container’s /dev; /proc/interrupts is masked since Docker 25',
  'docker run --rm busybox sh -c \'ls -l /dev | awk "{print \\$1, \\$3, \\$4, \\$NF}" | sort\'':
    'crun makes the link /dev/core also where the kernel has no /proc/kcore',
  'docker run --rm image/UPPER true': 'newer engines name the part that must be lowercase',
  'docker run --rm -h boxy --add-host db:10.1.2.3 busybox cat /etc/hosts':
    'Docker 27 writes fe00:: and ff00:: in their canonical form',
  "docker run --rm --dns 10.9.9.9 --dns-search example.org --dns-option ndots:2 busybox grep -v '^#' /etc/resolv.conf":
    'Docker 25 began to write the servers before the search list',
  'docker run --rm --net container:nosuch busybox true':
    'newer engines say what the container was looked for',
  'docker inspect --type image made': 'newer engines say "No such image" once',
  'docker image inspect nosuch': 'newer engines say "No such image" once',
  "docker inspect made --format '{{json .HostConfig}}'":
    'the default runtime is crun; newer engines mask /proc/interrupts and powercap too',
  'docker exec made nosuchprogram': 'newer engines give 127 to a program that is not found',
  'docker rm renamed': 'the words of Docker 25 and later',
  'docker rm twice': 'the words of Docker 25 and later',
  'docker update --restart nosuch busy': 'the words of Docker 25 and later',
  'docker run --rm --log-driver nosuch busybox true': 'log drivers are not plugins in Hull',
};

/** The same for Hull's own CLI beside the docker CLI, both talking to Hull. */
export const ALLOWED_CLI: Record<string, string> = {
  "docker image inspect layered:v1 --format '{{json .Config}}'":
    'hull shows all that the engine says, docker only the fields of its own version of the structure',
  "docker inspect made --format '{{json .HostConfig}}'":
    'hull shows all that the engine says, docker only the fields of its own version of the structure',
  "docker image inspect layered:v1 --format '{{json .Config.ExposedPorts}} {{.Config.User}} {{.Architecture}} {{.Os}} {{.Id}}'":
    'docker sorts the keys of maps, hull keeps the image’s own order',
  "docker image inspect bare:v1 --format '{{.Comment}} {{json .Config.Cmd}}'":
    'an empty list where docker has null',
};

/**
 * Beside a docker CLI older than 28, whose messages hull has, only exit codes and standard output are compared; these also
 * differ there.
 */
export const ALLOWED_OLD_CLI: Record<string, string> = {
  "docker inspect made --format '{{json .Config}}'": 'fields that the older structure does not have',
  "docker image inspect layered:v1 --format '{{json .Config}}'": 'fields that the older structure always has',
  'docker run --help | head -3': 'the help is laid out anew',
};
