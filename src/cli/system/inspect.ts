import { ApiError, type ApiClient, type Query } from '#/api/client/api-client.ts';
import type { Command } from '../command.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { type DocumentKind, inspectAll, type InspectedDocument } from '../format/inspect.ts';

/** Where a name is looked for, in this order, when no `--type` says what it names. */
const KINDS: readonly { kind: DocumentKind; path: (name: string) => string }[] = [
  { kind: 'container', path: (name) => `/containers/${name}/json` },
  { kind: 'image', path: (name) => `/images/${name}/json` },
  { kind: 'network', path: (name) => `/networks/${name}` },
  { kind: 'volume', path: (name) => `/volumes/${name}` },
];

export const command: Command = {
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  flags: `
${SHORT_FORMAT}
  -s, --size  Display total file sizes if the type is container
      --type string  Only inspect objects of the given type
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const type = flags.string('type');
    const size = flags.bool('size') || undefined;
    if (flags.changed('type') && !KINDS.some(({ kind }) => kind === type)) {
      throw new Error(
        type === ''
          ? 'type is empty: must be one of "container", "image", "network", "volume"'
          : `unknown type: ${JSON.stringify(type)}: must be one of "container", "image", "network", "volume"`,
      );
    }
    await inspectAll(terminal, args, flags.string('format'), (name) =>
      findDocument(client, name, type, { size }),
    );
  },
};

async function findDocument(
  client: ApiClient,
  name: string,
  type: string,
  query: Query,
): Promise<InspectedDocument> {
  for (const { kind, path } of KINDS) {
    if (type !== '' && kind !== type) continue;
    try {
      const text = await client.text('GET', path(name), { query: kind === 'container' ? query : {} });
      return { kind, text };
    } catch (error) {
      if (type !== '' || !(error instanceof ApiError && error.status === 404)) throw error;
    }
  }
  throw new Error(`Error: No such object: ${name}`);
}
