import path from 'node:path';
import type { Command } from '../command.ts';
import { configDirectory } from '../config/client-config.ts';
import { readContext } from '../config/contexts.ts';
import { DEFAULT_HOST } from '../config/endpoint-choice.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { inspectAll } from '../format/inspect.ts';

export const command: Command = {
  usage: '[OPTIONS] [CONTEXT] [CONTEXT...]',
  flags: SHORT_FORMAT,
  arguments: { min: 0 },
  offline: true,
  async run({ flags, args, terminal, env, context }) {
    const names = args.length > 0 ? args : [context];
    await inspectAll(terminal, names, flags.string('format'), async (name) => ({
      kind: 'context',
      text: JSON.stringify(name === 'default' ? defaultDocument(env) : storedDocument(env, name)),
    }));
  },
};

type Environment = Record<string, string | undefined>;

function storedDocument(env: Environment, name: string): object {
  const { document, tls, metadataPath, tlsPath } = readContext(configDirectory(env), name);
  const files = [tls?.ca, tls?.cert, tls?.key].flatMap((file) => (file ? [path.basename(file)] : []));
  return {
    ...document,
    TLSMaterial: files.length > 0 ? { docker: files } : {},
    Storage: { MetadataPath: metadataPath, TLSPath: tlsPath },
  };
}

/** What flags and variables say; it lies nowhere. */
function defaultDocument(env: Environment): object {
  const Host = env['HULL_HOST'] || env['DOCKER_HOST'] || DEFAULT_HOST;
  return {
    Name: 'default',
    Metadata: {},
    Endpoints: { docker: { Host, SkipTLSVerify: false } },
    TLSMaterial: {},
    Storage: { MetadataPath: '<IN MEMORY>', TLSPath: '<IN MEMORY>' },
  };
}
