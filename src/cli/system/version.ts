import type { Command } from '../command.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { alignColumns } from '../format/table.ts';
import { API_VERSION } from '#/api/client/api-client.ts';
import { CLIENT_VERSION } from '../client-version.ts';

interface Component {
  Name: string;
  Version: string;
  Details?: Record<string, string>;
}

interface ServerVersion {
  Platform?: { Name?: string };
  Components?: Component[];
  Version: string;
  ApiVersion: string;
  MinAPIVersion?: string;
  GitCommit?: string;
  GoVersion?: string;
  Os: string;
  Arch: string;
  KernelVersion?: string;
  BuildTime?: string;
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: SHORT_FORMAT,
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal, context }) {
    const format = flags.string('format');
    const architecture = { x64: 'amd64', ia32: '386' }[process.arch as string] ?? process.arch;
    let server: ServerVersion | undefined;
    let failure: unknown;
    try {
      await client.negotiate();
      server = await client.json<ServerVersion>('GET', '/version');
    } catch (error) {
      failure = error;
    }
    const clientVersion = {
      Version: CLIENT_VERSION,
      ApiVersion: client.version,
      DefaultAPIVersion: API_VERSION,
      NodeVersion: process.version,
      Os: process.platform,
      Arch: architecture,
      Context: context,
    };
    if (format !== '') {
      const { printDocument } = await import('../format/print-document.ts');
      printDocument(
        terminal,
        format,
        { Client: clientVersion, Server: server ?? null },
        {
          type: 'system.versionInfo',
          structs: { Client: 'system.clientVersion', Server: '*types.Version', Platform: 'struct' },
          name: 'version',
        },
      );
    } else {
      const lowered = client.version === API_VERSION ? '' : ` (downgraded from ${API_VERSION})`;
      const lines = [
        'Client:',
        ` Version:\t${clientVersion.Version}`,
        ` API version:\t${clientVersion.ApiVersion}${lowered}`,
        ` Node version:\t${clientVersion.NodeVersion}`,
        ` OS/Arch:\t${clientVersion.Os}/${clientVersion.Arch}`,
        ` Context:\t${clientVersion.Context}`,
        ...(server ? ['', ...serverLines(server)] : []),
      ];
      terminal.out(`${alignColumns(lines.join('\n'), { minWidth: 20, padding: 1 })}\n`);
    }
    if (failure !== undefined) throw failure;
  },
};

/** The engine first, then its parts, each with the details it gives. */
function serverLines(server: ServerVersion): string[] {
  const name = server.Platform?.Name;
  const components = server.Components ?? [
    {
      Name: 'Engine',
      Version: server.Version,
      Details: {
        ApiVersion: server.ApiVersion,
        MinAPIVersion: server.MinAPIVersion ?? '',
        GitCommit: server.GitCommit ?? '',
        Os: server.Os,
        Arch: server.Arch,
        BuildTime: server.BuildTime ?? '',
      },
    },
  ];
  return [`Server:${name ? ` ${name}` : ''}`, ...components.flatMap(componentLines)];
}

function componentLines({ Name, Version, Details = {} }: Component): string[] {
  const lines = [` ${Name}:`, `  Version:\t${Version}`];
  const { ApiVersion, MinAPIVersion, GoVersion, NodeVersion, GitCommit, BuildTime, Os, Arch, Experimental } =
    Details;
  if (Name !== 'Engine') {
    return [...lines, ...Object.entries(Details).map(([key, value]) => `  ${key}:\t${value}`)];
  }
  if (ApiVersion) lines.push(`  API version:\t${ApiVersion} (minimum version ${MinAPIVersion ?? ''})`);
  if (GoVersion) lines.push(`  Go version:\t${GoVersion}`);
  if (NodeVersion) lines.push(`  Node version:\t${NodeVersion}`);
  if (GitCommit) lines.push(`  Git commit:\t${GitCommit}`);
  if (BuildTime) lines.push(`  Built:\t${BuildTime}`);
  if (Os) lines.push(`  OS/Arch:\t${Os}/${Arch ?? ''}`);
  if (Experimental) lines.push(`  Experimental:\t${Experimental}`);
  return lines;
}
