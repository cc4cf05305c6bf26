import { randomInt } from 'node:crypto';
import { invalid } from '#/base/errors.ts';

/** Throws `invalid` in Docker's words; returns the name without its leading slash. */
export function parseContainerName(name: string): string {
  const bare = name.startsWith('/') ? name.slice(1) : name;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(bare)) {
    throw invalid(`Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  return bare;
}

// Qualities and parts of ships, so that a name reads like what the engine is called after.
const QUALITIES =
  'able agile ample blithe bold brave bright brisk calm candid clever coastal cosmic crisp daring deft eager early exact fair fleet fond frank fresh gallant gentle glad golden grand hardy hearty honest humble jolly keen kind lively loyal lucid mellow merry mighty modest nimble noble northern patient placid plucky polite prime proud quick quiet rapid ready robust rustic salty serene sharp silent silver sleek smooth snug solid southern spry stable steady stout sturdy subtle sunny swift tidal tidy trim true trusty upbeat valiant vivid warm watchful western wise witty zesty'.split(
    ' ',
  );
const PARTS =
  'anchor ballast beacon berth bilge binnacle boom bosun bow bowsprit bulkhead buoy cabin capstan cleat clipper cog compass coracle crew cutter deck dinghy dock dory felucca ferry fluke foremast frigate gaff galley gangway halyard harbour hatch hawser helm hull jib junk keel ketch keelson knot lanyard lateen launch lighter log lugger mainsail mast mizzen oar pennant pier pilot pinnace porthole prow quarterdeck quay raft rigging rudder sail schooner scow sextant shackle sheet skiff sloop spar spinnaker stern strake tackle tender tiller topsail transom trawler tug wharf winch windlass yard yawl'.split(
    ' ',
  );

/** A name nobody has: two words, and a number when the pairs run out. */
export function inventName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const pair = `${QUALITIES[randomInt(QUALITIES.length)]}_${PARTS[randomInt(PARTS.length)]}`;
    const name = attempt < 6 ? pair : `${pair}${randomInt(10 ** Math.min(attempt - 5, 9))}`;
    if (!taken(name)) return name;
  }
}
