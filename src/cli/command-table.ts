import type { Command } from './command.ts';

export interface CommandEntry {
  /** `container run`: its full path. */
  path: string;
  /** Other paths it answers to, in the order help lists them. */
  aliases: readonly string[];
  short: string;
  load: () => Promise<Command>;
}

const entry = (
  path: string,
  aliases: readonly string[],
  short: string,
  load: () => Promise<{ command: Command }>,
): CommandEntry => ({ path, aliases, short, load: async () => (await load()).command });

/** The nouns, whose only work is to hold verbs. */
export const GROUPS: Readonly<Record<string, string>> = {
  checkpoint: 'Manage checkpoints',
  container: 'Manage containers',
  context: 'Manage contexts',
  image: 'Manage images',
  network: 'Manage networks',
  system: 'Manage Hull',
  volume: 'Manage volumes',
};

/** Every verb of `hull`. `load` is the only way in, so that a command pays for its own code alone. */
export const COMMANDS: readonly CommandEntry[] = [
  entry(
    'checkpoint create',
    [],
    'Create a checkpoint from a running container',
    () => import('./checkpoint/create.ts'),
  ),
  entry(
    'checkpoint ls',
    ['checkpoint list'],
    'List checkpoints for a container',
    () => import('./checkpoint/ls.ts'),
  ),
  entry('checkpoint rm', ['checkpoint remove'], 'Remove a checkpoint', () => import('./checkpoint/rm.ts')),
  entry(
    'compare',
    [],
    'Run an image as a container and as a microVM, and measure both',
    () => import('./compare/compare.ts'),
  ),
  entry(
    'completion',
    [],
    'Print the completion script of a shell',
    () => import('./completion/completion.ts'),
  ),
  entry(
    'container attach',
    ['attach'],
    'Attach local standard input, output, and error streams to a running container',
    () => import('./container/attach.ts'),
  ),
  entry(
    'container commit',
    ['commit'],
    "Create a new image from a container's changes",
    () => import('./container/commit.ts'),
  ),
  entry(
    'container convert',
    ['convert'],
    'Put a stopped container behind the other wall',
    () => import('./container/convert.ts'),
  ),
  entry(
    'container cp',
    ['cp'],
    'Copy files/folders between a container and the local filesystem',
    () => import('./container/cp.ts'),
  ),
  entry('container create', ['create'], 'Create a new container', () => import('./container/create.ts')),
  entry(
    'container diff',
    ['diff'],
    "Inspect changes to files or directories on a container's filesystem",
    () => import('./container/diff.ts'),
  ),
  entry(
    'container exec',
    ['exec'],
    'Execute a command in a running container',
    () => import('./container/exec.ts'),
  ),
  entry(
    'container export',
    ['export'],
    "Export a container's filesystem as a tar archive",
    () => import('./container/export.ts'),
  ),
  entry(
    'container inspect',
    [],
    'Display detailed information on one or more containers',
    () => import('./container/inspect.ts'),
  ),
  entry(
    'container kill',
    ['kill'],
    'Kill one or more running containers',
    () => import('./container/kill.ts'),
  ),
  entry('container logs', ['logs'], 'Fetch the logs of a container', () => import('./container/logs.ts')),
  entry(
    'container ls',
    ['container list', 'container ps', 'ps'],
    'List containers',
    () => import('./container/ls.ts'),
  ),
  entry(
    'container pause',
    ['pause'],
    'Pause all processes within one or more containers',
    () => import('./container/pause.ts'),
  ),
  entry(
    'container port',
    ['port'],
    'List port mappings or a specific mapping for the container',
    () => import('./container/port.ts'),
  ),
  entry('container prune', [], 'Remove all stopped containers', () => import('./container/prune.ts')),
  entry('container rename', ['rename'], 'Rename a container', () => import('./container/rename.ts')),
  entry(
    'container restart',
    ['restart'],
    'Restart one or more containers',
    () => import('./container/restart.ts'),
  ),
  entry(
    'container rm',
    ['container remove', 'rm'],
    'Remove one or more containers',
    () => import('./container/rm.ts'),
  ),
  entry(
    'container run',
    ['run'],
    'Create and run a new container from an image',
    () => import('./container/run.ts'),
  ),
  entry(
    'container start',
    ['start'],
    'Start one or more stopped containers',
    () => import('./container/start.ts'),
  ),
  entry(
    'container stats',
    ['stats'],
    'Display a live stream of container(s) resource usage statistics',
    () => import('./container/stats.ts'),
  ),
  entry(
    'container stop',
    ['stop'],
    'Stop one or more running containers',
    () => import('./container/stop.ts'),
  ),
  entry(
    'container top',
    ['top'],
    'Display the running processes of a container',
    () => import('./container/top.ts'),
  ),
  entry(
    'container unpause',
    ['unpause'],
    'Unpause all processes within one or more containers',
    () => import('./container/unpause.ts'),
  ),
  entry(
    'container update',
    ['update'],
    'Update configuration of one or more containers',
    () => import('./container/update.ts'),
  ),
  entry(
    'container wait',
    ['wait'],
    'Block until one or more containers stop, then print their exit codes',
    () => import('./container/wait.ts'),
  ),
  entry(
    'context inspect',
    [],
    'Display detailed information on one or more contexts',
    () => import('./context/inspect.ts'),
  ),
  entry('context ls', ['context list'], 'List contexts', () => import('./context/ls.ts')),
  entry('context show', [], 'Print the name of the current context', () => import('./context/show.ts')),
  entry('context use', [], 'Set the current docker context', () => import('./context/use.ts')),
  entry(
    'image bootstrap',
    [],
    "Make a base image from a distribution's own packages",
    () => import('./image/bootstrap.ts'),
  ),
  entry('image history', ['history'], 'Show the history of an image', () => import('./image/history.ts')),
  entry(
    'image import',
    ['import'],
    'Import the contents from a tarball to create a filesystem image',
    () => import('./image/import.ts'),
  ),
  entry(
    'image inspect',
    [],
    'Display detailed information on one or more images',
    () => import('./image/inspect.ts'),
  ),
  entry('image load', ['load'], 'Load an image from a tar archive or STDIN', () => import('./image/load.ts')),
  entry('image ls', ['image list', 'images'], 'List images', () => import('./image/ls.ts')),
  entry('image prune', [], 'Remove unused images', () => import('./image/prune.ts')),
  entry('image pull', ['pull'], 'Download an image from a registry', () => import('./image/pull.ts')),
  entry('image rm', ['image remove', 'rmi'], 'Remove one or more images', () => import('./image/rm.ts')),
  entry(
    'image save',
    ['save'],
    'Save one or more images to a tar archive (streamed to STDOUT by default)',
    () => import('./image/save.ts'),
  ),
  entry(
    'image tag',
    ['tag'],
    'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    () => import('./image/tag.ts'),
  ),
  entry('inspect', [], 'Return low-level information on Docker objects', () => import('./system/inspect.ts')),
  entry('network connect', [], 'Connect a container to a network', () => import('./network/connect.ts')),
  entry('network create', [], 'Create a network', () => import('./network/create.ts')),
  entry(
    'network disconnect',
    [],
    'Disconnect a container from a network',
    () => import('./network/disconnect.ts'),
  ),
  entry(
    'network inspect',
    [],
    'Display detailed information on one or more networks',
    () => import('./network/inspect.ts'),
  ),
  entry('network ls', ['network list'], 'List networks', () => import('./network/ls.ts')),
  entry('network prune', [], 'Remove all unused networks', () => import('./network/prune.ts')),
  entry('network rm', ['network remove'], 'Remove one or more networks', () => import('./network/rm.ts')),
  entry('system df', [], 'Show hull disk usage', () => import('./system/df.ts')),
  entry(
    'system events',
    ['events'],
    'Get real time events from the server',
    () => import('./system/events.ts'),
  ),
  entry('system info', ['info'], 'Display system-wide information', () => import('./system/info.ts')),
  entry('system prune', [], 'Remove unused data', () => import('./system/prune.ts')),
  entry('version', [], 'Show the Hull version information', () => import('./system/version.ts')),
  entry('volume create', [], 'Create a volume', () => import('./volume/create.ts')),
  entry(
    'volume inspect',
    [],
    'Display detailed information on one or more volumes',
    () => import('./volume/inspect.ts'),
  ),
  entry('volume ls', ['volume list'], 'List volumes', () => import('./volume/ls.ts')),
  entry('volume prune', [], 'Remove unused local volumes', () => import('./volume/prune.ts')),
  entry('volume rm', ['volume remove'], 'Remove one or more volumes', () => import('./volume/rm.ts')),
];
