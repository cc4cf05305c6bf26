import { CAPABILITIES } from '#/oci/capabilities.ts';
import type { Source } from './candidates.ts';

const SIGNALS = ['HUP', 'INT', 'QUIT', 'KILL', 'USR1', 'USR2', 'TERM', 'CONT', 'STOP', 'WINCH'];
const CAPABILITY_NAMES = ['ALL', ...CAPABILITIES.map((name) => name.slice('CAP_'.length)).sort()];

/** What the value of a flag may be, whatever the command. */
const ANYWHERE: Readonly<Record<string, Source>> = {
  attach: ['stdin', 'stdout', 'stderr'],
  'cap-add': CAPABILITY_NAMES,
  'cap-drop': CAPABILITY_NAMES,
  cgroupns: ['host', 'private'],
  checkpoint: 'checkpoints',
  'checkpoint-dir': 'files',
  cidfile: 'files',
  config: 'files',
  context: 'contexts',
  device: 'files',
  env: 'variables',
  'env-file': 'files',
  format: ['json', 'table'],
  gpus: ['all'],
  ipc: ['none', 'private', 'shareable', 'host', 'container:'],
  isolation: ['container', 'vm'],
  'label-file': 'files',
  link: 'containers',
  'log-driver': 'log drivers',
  'log-level': ['debug', 'info', 'warn', 'error', 'fatal'],
  mount: ['type=bind,', 'type=volume,', 'type=tmpfs,', 'type=image,'],
  net: 'networks',
  network: 'networks',
  output: 'files',
  pid: ['host', 'container:'],
  platform: [
    'linux/amd64',
    'linux/arm64',
    'linux/arm/v7',
    'linux/386',
    'linux/ppc64le',
    'linux/s390x',
    'linux/riscv64',
  ],
  pull: ['always', 'missing', 'never'],
  restart: ['no', 'always', 'unless-stopped', 'on-failure', 'on-failure:'],
  runtime: 'runtimes',
  'security-opt': ['apparmor=', 'label=', 'no-new-privileges', 'seccomp=', 'systempaths=unconfined'],
  signal: SIGNALS,
  'stop-signal': SIGNALS,
  svg: 'files',
  tlscacert: 'files',
  tlscert: 'files',
  tlskey: 'files',
  type: ['container', 'image', 'network', 'volume'],
  ulimit:
    `as= core= cpu= data= fsize= locks= memlock= msgqueue= nice= nofile= nproc= rss= rtprio= rttime= sigpending= stack=`.split(
      ' ',
    ),
  userns: ['host'],
  uts: ['host'],
  volume: 'files',
  'volumes-from': 'containers',
};

/** By the command's full path and the flag. */
const HERE: Readonly<Record<string, Source>> = {
  'container inspect format': ['json'],
  'container ls filter':
    `ancestor= before= expose= exited= health=healthy health=none health=starting health=unhealthy id= is-task=
    label= name= network= publish= since= status=created status=dead status=exited status=paused status=restarting status=running
    volume=`.split(/\s+/),
  'container prune filter': ['until=', 'label=', 'label!='],
  'image inspect format': ['json'],
  'image load input': 'files',
  'image ls filter': ['before=', 'dangling=false', 'dangling=true', 'label=', 'reference=', 'since='],
  'image prune filter': ['until=', 'label=', 'label!='],
  'inspect format': ['json'],
  'network create driver': ['bridge', 'host', 'ipvlan', 'macvlan', 'none'],
  'network inspect format': ['json'],
  'network ls filter': [
    'driver=',
    'dangling=true',
    'dangling=false',
    'id=',
    'label=',
    'name=',
    'scope=',
    'type=custom',
    'type=builtin',
  ],
  'network prune filter': ['until=', 'label=', 'label!='],
  'system events filter': [
    'container=',
    'daemon=',
    'event=',
    'image=',
    'label=',
    'network=',
    'scope=',
    'type=container',
    'type=daemon',
    'type=image',
    'type=network',
    'type=volume',
    'volume=',
  ],
  'system events format': ['json'],
  'system info format': ['json'],
  'system prune filter': ['until=', 'label=', 'label!='],
  'version format': ['json'],
  'volume create driver': ['local'],
  'volume inspect format': ['json'],
  'volume ls filter': ['dangling=true', 'dangling=false', 'driver=', 'label=', 'name='],
  'volume prune filter': ['all=1', 'label=', 'label!='],
};

/** What the value of a flag may be; undefined where only the user knows. */
export function flagValues(path: string, flag: string): Source | undefined {
  return HERE[`${path} ${flag}`] ?? ANYWHERE[flag];
}
