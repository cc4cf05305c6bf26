import { ApiError, type ApiClient, type Query } from '#/api/client/api-client.ts';
import type { Command } from '../command.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { type DocumentKind, inspectAll, type InspectedDocument } from '../format/inspect.ts';

interface Kind {
  kind: DocumentKind;
  path: (name: string) => string;
}

/** Where a name is looked for, in this order, when no `--type` says what it names. */
const KINDS: readonly Kind[] = [
  { kind: 'container', path: (name) => `/containers/${name}/json` },
  { kind: 'image', path: (name) => `/images/${name}/json` },
  { kind: 'network', path: (name) => `/networks/${name}` },
  { kind: 'volume', path: (name) => `/volumes/${name}` },
];

/** What else `--type` may name. */
const SWARM_KINDS: readonly Kind[] = [
  { kind: 'plugin', path: (name) => `/plugins/${name}/json` },
  ...(['config', 'node', 'secret', 'service', 'task'] as const).map((kind) => ({
    kind,
    path: (name: string) => `/${kind}s/${name}`,
  })),
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
    const kinds = flags.changed('type') ? kindsOf(type) : KINDS;
    await inspectAll(terminal, args, flags.string('format'), async (name) => {
      const found = await findDocument(client, name, kinds, { size });
      if (size && found.kind !== 'container') terminal.err(`WARNING: --size ignored for ${found.kind}\n`);
      return found;
    });
  },
};

function kindsOf(type: string): Kind[] {
  const all = [...KINDS, ...SWARM_KINDS];
  const kinds = all.filter(({ kind }) => kind === type);
  if (kinds.length > 0) return kinds;
  const names = all
    .map(({ kind }) => JSON.stringify(kind))
    .sort()
    .join(', ');
  throw new Error(
    `${type === '' ? 'type is empty' : `unknown type: ${JSON.stringify(type)}`}: must be one of ${names}`,
  );
}

async function findDocument(
  client: ApiClient,
  name: string,
  kinds: readonly Kind[],
  query: Query,
): Promise<InspectedDocument> {
  for (const { kind, path } of kinds) {
    try {
      const text = await client.text('GET', path(name), { query: kind === 'container' ? query : {} });
      return { kind, text };
    } catch (error) {
      if (kinds.length === 1 || !(error instanceof ApiError && error.status === 404)) throw error;
    }
  }
  throw new Error(`Error: No such object: ${name}`);
}
