import { conflict, invalid, isKind, messageOf } from '#/base/errors.ts';
import { parseContainerPorts } from '#/network/port-bindings.ts';
import type { ContainerConfig } from '#/wire/generated.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { parseNetworkMode } from '../namespace-modes.ts';
import { type ContainerRecord, isRunning, type Link } from '../record.ts';

/**
 * Links of the default bridge (`--link name:alias`): a container knows another one by an alias, in its hosts file and by variables of its
 * environment; and the alias is a name of the other one, `/parent/alias`.
 */
export function parseLink(text: string): { name: string; alias: string } {
  if (text === '') throw invalid('empty string specified for links');
  const [name = '', alias = name, ...rest] = text.split(':');
  if (rest.length > 0) throw invalid(`bad format for links: ${text}`);
  // As `inspect` shows them: /target:/parent/alias.
  if (name.startsWith('/') && text.includes(':')) {
    return { name: name.slice(1), alias: alias.slice(alias.lastIndexOf('/') + 1) };
  }
  return { name, alias };
}

/** The links of a new container, and warnings. Throws in Docker's words where there is nothing to link to. */
export function resolveLinks(
  context: ContainerContext,
  links: readonly string[],
): { links: Link[]; warnings: string[] } {
  const resolved: Link[] = [];
  const warnings: string[] = [];
  for (const { name, alias } of links.map(parseLink)) {
    let target = targetOf(context, name);
    for (;;) {
      const mode = parseNetworkMode(target.record.hostConfig.NetworkMode);
      if (mode.kind === 'host') {
        throw invalid(
          "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        );
      }
      if (mode.kind !== 'container') break;
      target = targetOf(context, mode.reference);
    }
    if (resolved.some((link) => link.alias === alias)) {
      warnings.push(`The alias "${alias}" is taken by another link: that to "${name}" has no effect.`);
    } else {
      resolved.push({ alias, id: target.id, name: target.record.name });
    }
  }
  if (resolved.length > 0 && !context.networks.icc) {
    warnings.push(
      'Containers may not talk to each other here (--icc=false), and a link does not change that.',
    );
  }
  return { links: resolved, warnings };
}

function targetOf(context: ContainerContext, name: string): Container {
  try {
    if (name === '') throw invalid('invalid name or ID supplied: ""');
    return context.containers.get(name);
  } catch (error) {
    if (!isKind(error, 'notFound') && !isKind(error, 'invalid')) throw error;
    throw invalid(`could not get container for ${name}: ${messageOf(error)}`, { cause: error });
  }
}

/** A link with the container at its other end, at its address on the default bridge. */
export interface LiveLink {
  alias: string;
  target: ContainerRecord;
  address: string;
}

/** The links that a starting container has. Throws when one leads to a container that does not run. */
export function liveLinks(context: ContainerContext, record: ContainerRecord): LiveLink[] {
  return (record.links ?? []).flatMap(({ alias, id, name }): LiveLink[] => {
    const target = context.containers.byId(id)?.record;
    if (target === undefined || !isRunning(target)) {
      const words = `/${target?.name ?? name} AS /${record.name}/${alias}`;
      throw conflict(`Cannot link to a non running container: ${words}`);
    }
    const address = target.endpoints.find(({ ipv4 }) => ipv4 !== undefined)?.ipv4?.address;
    return address === undefined ? [] : [{ alias, target, address }];
  });
}

/** The names of a link's target in the hosts file: the alias, its host name, and its own name. */
export function linkNames({ alias, target }: LiveLink): string[] {
  return [...new Set([alias, target.config.Hostname ?? '', target.name])].filter((name) => name !== '');
}

/** The variables that tell a container of a link: where the target is, by port, and the target's own; pure. */
export function linkVariables(
  parent: string,
  { alias, address, target }: Pick<LiveLink, 'alias' | 'address'> & { target: { config: ContainerConfig } },
): string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const variables = [`${prefix}_NAME=/${parent}/${alias}`];
  const ports = exposedPorts(target.config);
  const url = ({ port, protocol }: Port): string => `${protocol}://${address}:${port}`;
  const [first] = ports;
  if (first !== undefined) variables.push(`${prefix}_PORT=${url(first)}`);
  for (const port of ports) {
    const name = `${prefix}_PORT_${port.port}_${port.protocol.toUpperCase()}`;
    variables.push(
      `${name}=${url(port)}`,
      `${name}_ADDR=${address}`,
      `${name}_PORT=${port.port}`,
      `${name}_PROTO=${port.protocol}`,
    );
  }
  for (const [start, end] of ranges(ports)) {
    const name = `${prefix}_PORT_${start.port}_${start.protocol.toUpperCase()}`;
    variables.push(
      `${name}_START=${url(start)}`,
      `${name}_PORT_START=${start.port}`,
      `${name}_END=${url(end)}`,
      `${name}_PORT_END=${end.port}`,
    );
  }
  const own = (target.config.Env ?? []).filter((each) => each.includes('=') && !/^(HOME|PATH)=/.test(each));
  return [...variables, ...own.map((each) => `${prefix}_ENV_${each}`)];
}

type Port = ReturnType<typeof parseContainerPorts>[number];

/** By number, TCP first where one number has both. */
function exposedPorts({ ExposedPorts: exposed }: ContainerConfig): Port[] {
  return Object.keys(exposed ?? {})
    .flatMap(parseContainerPorts)
    .toSorted((a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol));
}

/** Runs of more than one port of one protocol, by their first and last. */
function ranges(ports: readonly Port[]): [start: Port, end: Port][] {
  const runs: [Port, Port][] = [];
  for (const port of ports) {
    const run = runs.at(-1);
    if (run !== undefined && run[1].port + 1 === port.port && run[1].protocol === port.protocol)
      run[1] = port;
    else runs.push([port, port]);
  }
  return runs.filter(([start, end]) => start !== end);
}
