import type { Source } from './candidates.ts';

/** The arguments of commands by position; the last source goes on for the rest where the command takes any number. */
const ARGUMENTS: Readonly<Record<string, readonly Source[]>> = {
  'checkpoint create': ['running'],
  'checkpoint ls': ['containers'],
  'checkpoint rm': ['containers', 'checkpoints'],
  compare: ['images'],
  completion: [['bash', 'zsh']],
  'container attach': ['running'],
  'container commit': ['containers', 'images'],
  'container convert': ['stopped'],
  'container cp': ['copies', 'copies'],
  'container create': ['images', 'files'],
  'container diff': ['containers'],
  'container exec': ['running', 'files'],
  'container export': ['containers'],
  'container inspect': ['containers'],
  'container kill': ['running'],
  'container logs': ['containers'],
  'container pause': ['unpaused'],
  'container port': ['containers'],
  'container rename': ['containers'],
  'container restart': ['containers'],
  'container rm': ['containers'],
  'container run': ['images', 'files'],
  'container start': ['stopped'],
  'container stats': ['running'],
  'container stop': ['running'],
  'container top': ['running'],
  'container unpause': ['paused'],
  'container update': ['containers'],
  'container wait': ['containers'],
  'image history': ['images'],
  'image import': ['files', 'images'],
  'image inspect': ['images'],
  'image ls': ['images'],
  'image rm': ['images'],
  'image save': ['images'],
  'image tag': ['images', 'images'],
  'context inspect': ['contexts'],
  'context use': ['contexts'],
  inspect: ['objects'],
  'network connect': ['networks', 'containers'],
  'network disconnect': ['networks', 'containers'],
  'network inspect': ['networks'],
  'network rm': ['networks'],
  'volume inspect': ['volumes'],
  'volume rm': ['volumes'],
};

/** What may stand at position `index` of a command that takes at most `max` arguments. */
export function argumentSource(path: string, index: number, max: number | undefined): Source | undefined {
  const sources = ARGUMENTS[path];
  if (!sources || (max !== undefined && index >= max)) return undefined;
  return sources[index] ?? (max === undefined ? sources.at(-1) : undefined);
}
