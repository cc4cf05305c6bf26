import { messageOf } from '#/base/errors.ts';
import type { Command } from '../command.ts';

export const command: Command = {
  usage: 'CONTAINER NEW_NAME',
  arguments: { min: 2, max: 2 },
  async run({ args, client }) {
    const [from = '', to = ''] = args.map((name) => name.trim());
    if (from === '' || to === '') throw new Error('Error: Neither old nor new names may be empty');
    try {
      await client.text('POST', `/containers/${from}/rename`, { query: { name: to } });
    } catch (error) {
      throw new Error(`${messageOf(error)}\nError: failed to rename container named ${from}`, {
        cause: error,
      });
    }
  },
};
