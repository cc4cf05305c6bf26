import { FlagSet } from '#/cli/flags/flag-set.ts';
import { type FlagSpec, parseFlagSpecs } from '#/cli/flags/flag-spec.ts';

/** dockerd's flags that have an effect here; the defaults they name are where `config.ts` has them. */
const USED = `
      --add-runtime list  Register an additional OCI compatible runtime (name=path)
      --bip string  IPv4 address for the default bridge
  -b, --bridge string  Attach containers to a network bridge
      --cdi-spec-dir list  CDI specification directories to use
      --cgroup-parent string  Set parent cgroup for all containers
      --config-file string  Daemon configuration file (default "/etc/hull/daemon.json")
      --data-root string  Root directory of persistent state (default "/var/lib/hull")
  -D, --debug  Enable debug mode
      --default-address-pool list  Default address pools for node specific local networks
      --default-cgroupns-mode string  Default mode for containers cgroup namespace ("host" | "private")
      --default-gateway string  Default gateway IPv4 address for the default bridge network
      --default-ipc-mode string  Default mode for containers ipc ("shareable" | "private")
      --default-runtime string  Default OCI runtime for containers (default "crun", "runc" where crun cannot run)
      --default-shm-size bytes  Default shm size for containers (default 64MiB)
      --default-ulimit list  Default ulimits for containers
      --dns list  DNS server to use
      --dns-opt list  DNS options to use
      --dns-search list  DNS search domains to use
      --exec-opt list  Runtime execution options (native.cgroupdriver=cgroupfs|systemd)
      --exec-root string  Root directory for execution state files (default "/run/hull")
      --experimental  Tell clients that there are experimental features (checkpoints)
      --fixed-cidr string  IPv4 subnet for the default bridge network
  -G, --group string  Group for the unix socket (default "docker" where it exists, else "hull")
  -H, --host list  Daemon socket(s) to connect to
      --host-gateway-ip list  IP addresses that the special 'host-gateway' string in --add-host resolves to (default the default bridge's)
      --icc  Enable inter-container communication for the default bridge network (default true)
      --init  Run an init in the container to forward signals and reap processes
      --init-path string  Path to the init binary
      --insecure-registry list  Enable insecure registry communication
      --ip ip  Host IP for port publishing from the default bridge network (default 0.0.0.0)
      --ip-forward  Enable IP forwarding in system configuration (default true)
      --ip-masq  Enable IP masquerading for the default bridge network (default true)
      --iptables  Enable addition of packet filter rules (default true)
      --label list  Set key=value labels to the daemon
      --live-restore  Keep containers running while the daemon is down (default true)
      --log-driver string  Default driver for container logs (default "json-file")
  -l, --log-level string  Set the logging level ("debug"|"info"|"warn"|"error"|"fatal") (default "info")
      --log-opt list  Default log driver options for containers
      --metrics-addr string  Set default address and port to serve the metrics api on
      --mtu int  Set the MTU of the default "bridge" network (default 1500)
      --no-new-privileges  Set no-new-privileges by default for new containers
  -p, --pidfile string  Path to use for daemon PID file (default "/run/hull/hulld.pid")
      --registry-mirror list  Preferred registry mirror
      --seccomp-profile string  Path to seccomp profile. Set to "unconfined" to disable the default seccomp profile (default "builtin")
      --shutdown-timeout int  Set the shutdown timeout in seconds (default 15)
  -s, --storage-driver string  Storage driver to use ("erofs"|"overlay")
      --storage-opt list  Storage driver options ("size": bytes that each container may write)
      --tls  Use TLS; implied by --tlsverify
      --tlscacert string  Trust certs signed only by this CA
      --tlscert string  Path to TLS certificate file
      --tlskey string  Path to TLS key file
      --tlsverify  Use TLS and verify the remote
      --userns-remap string  User/Group setting for user namespaces
      --vm-accelerator string  How microVMs run ("auto"|"kvm"|"tcg") (default "auto")
      --vm-kernel string  Directory with the kernel of microVMs
      --vm-memory bytes  Memory of microVMs whose containers have no limit (default 1GiB)
      --vm-snapshots  Start microVMs from a guest that was saved after its boot (default true)
      --validate  Validate daemon configuration and exit
  -v, --version  Print version information and quit
`;

/** The rest of dockerd's (version 28): taken with a warning, so that whoever starts a dockerd can start this one. */
const ACCEPTED = `
      --allow-direct-routing
      --allow-nondistributable-artifacts list
      --api-cors-header string
      --authorization-plugin list
      --bip6 string
      --bridge-accept-fwmark string
      --containerd string
      --containerd-namespace string
      --containerd-plugins-namespace string
      --cpu-rt-period int
      --cpu-rt-runtime int
      --cri-containerd
      --default-gateway-v6 string
      --default-network-opt list
      --feature list
      --firewall-backend string
      --fixed-cidr-v6 string
      --http-proxy string
      --https-proxy string
      --ip-forward-no-drop
      --ip6tables
      --ipv6
      --log-format string
      --max-concurrent-downloads int
      --max-concurrent-uploads int
      --max-download-attempts int
      --network-control-plane-mtu int
      --network-diagnostic-port int
      --no-proxy string
      --node-generic-resource list
      --oom-score-adjust int
      --raw-logs
      --rootless
      --selinux-enabled
      --swarm-default-advertise-addr string
      --userland-proxy
      --userland-proxy-path string
`;

/** Old names of a flag, hidden as dockerd hides them. */
const RENAMED: Record<string, string> = { graph: 'data-root' };
const OLD_NAMES = `
  -g, --graph string
`;

const HELP: FlagSpec = { name: 'help', shorthand: 'h', type: 'bool', usage: 'Print usage', hidden: false };

export const DAEMON_FLAGS: readonly FlagSpec[] = [...parseFlagSpecs(USED), HELP];
export const ACCEPTED_FLAGS: readonly FlagSpec[] = parseFlagSpecs(ACCEPTED, true);

/** Parses a command line. Throws FlagError in dockerd's words. */
export function parseDaemonFlags(argv: readonly string[]): FlagSet {
  const flags = new FlagSet([...DAEMON_FLAGS, ...ACCEPTED_FLAGS, ...parseFlagSpecs(OLD_NAMES, true)]);
  flags.parse(argv, true);
  for (const [old, name] of Object.entries(RENAMED)) {
    if (flags.changed(old) && !flags.changed(name)) flags.set(name, flags.string(old));
  }
  return flags;
}

/** The flags given that dockerd has and Hull does not: each is worth a warning. */
export function flagsWithoutEffect(flags: FlagSet): string[] {
  return ACCEPTED_FLAGS.map(({ name }) => name).filter((name) => flags.changed(name));
}
