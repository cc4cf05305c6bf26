import { messageOf } from '#/base/errors.ts';
import type { Command } from '../command.ts';
import { parseImageName } from './image-name.ts';

export const command: Command = {
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  arguments: { min: 2, max: 2 },
  async run({ args, client }) {
    const [source = '', target = ''] = args;
    let name;
    try {
      name = parseImageName(target);
    } catch (error) {
      throw new Error(
        `Error parsing reference: ${JSON.stringify(target)} is not a valid repository/tag: ${messageOf(error)}`,
        { cause: error },
      );
    }
    if (name.digest !== undefined) throw new Error('refusing to create a tag with a digest reference');
    await client.text('POST', `/images/${source}/tag`, { query: { repo: name.repository, tag: name.tag } });
  },
};
