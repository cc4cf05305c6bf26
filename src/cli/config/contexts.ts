import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { errnoCode, messageOf } from '#/base/errors.ts';
import type { TlsFiles } from '#/api/client/endpoint.ts';

/** One named daemon, as docker's clients keep it below `~/.docker/contexts`. */
export interface StoredContext {
  name: string;
  description: string;
  host: string;
  tls: TlsFiles | undefined;
  /** The document itself, and where it and its certificates lie. */
  document: Record<string, unknown>;
  metadataPath: string;
  tlsPath: string;
}

interface MetaFile {
  Name: string;
  Metadata?: { Description?: string };
  Endpoints?: Record<string, { Host?: string; SkipTLSVerify?: boolean }>;
}

/** Directories are named by the digests of names, so that any name will do. */
function paths(directory: string, name: string): { metadataPath: string; tlsPath: string } {
  const id = createHash('sha256').update(name).digest('hex');
  return {
    metadataPath: `${directory}/contexts/meta/${id}`,
    tlsPath: `${directory}/contexts/tls/${id}`,
  };
}

export function readContext(directory: string, name: string): StoredContext {
  const place = paths(directory, name);
  const file = `${place.metadataPath}/meta.json`;
  let document: MetaFile;
  try {
    document = JSON.parse(readFileSync(file, 'utf8')) as MetaFile;
  } catch (error) {
    const reason =
      errnoCode(error) === 'ENOENT'
        ? `context not found: open ${file}: no such file or directory`
        : messageOf(error);
    throw new Error(`context ${JSON.stringify(name)}: ${reason}`, { cause: error });
  }
  const endpoint = document.Endpoints?.['docker'] ?? {};
  const certificate = (kind: string): string | undefined => {
    const path = `${place.tlsPath}/docker/${kind}.pem`;
    return existsSync(path) ? path : undefined;
  };
  const files = { ca: certificate('ca'), cert: certificate('cert'), key: certificate('key') };
  const secure = Object.values(files).some((each) => each !== undefined) || endpoint.SkipTLSVerify === true;
  return {
    name: document.Name,
    description: document.Metadata?.Description ?? '',
    host: endpoint.Host ?? '',
    tls: secure ? { ...files, verify: endpoint.SkipTLSVerify !== true } : undefined,
    document: { ...document },
    ...place,
  };
}

/** All of them, by name. */
export function listContexts(directory: string): StoredContext[] {
  let ids: string[];
  try {
    ids = readdirSync(`${directory}/contexts/meta`);
  } catch {
    return [];
  }
  const names = ids.map((id) => {
    const text = readFileSync(`${directory}/contexts/meta/${id}/meta.json`, 'utf8');
    return (JSON.parse(text) as MetaFile).Name;
  });
  return names.sort().map((name) => readContext(directory, name));
}
