import path from 'node:path';
import { invalid } from '#/base/errors.ts';
import { parseDuration } from '#/base/time.ts';
import type { HealthcheckConfig, ImageRunConfig } from '#/oci/image-config.ts';
import { jsonWords, keyValues, splitWords } from './instruction-words.ts';

type Change = (config: ImageRunConfig, text: string, flags: string[]) => void;

const SHELL = ['/bin/sh', '-c'];

/** The Dockerfile instructions that `import --change` and `commit --change` know (moby's builder/dockerfile validCommitCommands). */
const CHANGES: Record<string, Change> = {
  CMD(config, text) {
    config.Cmd = command(config, text);
  },
  ENTRYPOINT(config, text) {
    config.Entrypoint = text === '' ? null : command(config, text);
  },
  ENV(config, text) {
    const variables = new Map((config.Env ?? []).map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
    for (const [name, value] of keyValues('ENV', text)) variables.set(name, `${name}=${value}`);
    config.Env = [...variables.values()];
  },
  EXPOSE(config, text) {
    const ports = splitWords(text).flatMap(expandPorts);
    if (ports.length === 0) throw invalid('EXPOSE requires at least one argument');
    config.ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
  },
  HEALTHCHECK(config, text, flags) {
    config.Healthcheck = healthcheck(text, flags);
  },
  LABEL(config, text) {
    config.Labels = { ...config.Labels, ...Object.fromEntries(keyValues('LABEL', text)) };
  },
  ONBUILD(config, text) {
    const trigger = text.split(/\s/, 1)[0]?.toUpperCase() ?? '';
    if (trigger === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (trigger === 'MAINTAINER' || trigger === 'FROM')
      throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`);
    config.OnBuild = [...(config.OnBuild ?? []), text];
  },
  STOPSIGNAL(config, text) {
    config.StopSignal = oneArgument('STOPSIGNAL', text);
  },
  USER(config, text) {
    config.User = oneArgument('USER', text);
  },
  VOLUME(config, text) {
    const volumes = jsonWords(text) ?? splitWords(text);
    if (volumes.length === 0) throw invalid('VOLUME requires at least one argument');
    if (volumes.includes('')) throw invalid('VOLUME specified can not be an empty string');
    config.Volumes = { ...config.Volumes, ...Object.fromEntries(volumes.map((volume) => [volume, {}])) };
  },
  WORKDIR(config, text) {
    config.WorkingDir = path.posix.resolve(config.WorkingDir || '/', oneArgument('WORKDIR', text));
  },
};

/** A run configuration with the changes applied, in order. Throws `invalid` in Docker's words. */
export function applyChanges(base: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  const config = { ...base };
  let hasCommand = false;
  for (const line of changes.flatMap((change) => change.split('\n'))) {
    const match = /^\s*(\w+)((?:\s+--\S+)*)\s*(.*?)\s*$/s.exec(line);
    if (match === null) {
      if (line.trim() === '' || line.trim().startsWith('#')) continue;
      throw invalid(`unknown instruction: ${line.trim().split(/\s/, 1)[0]}`);
    }
    const [, word = '', flags = '', text = ''] = match;
    const change = Object.hasOwn(CHANGES, word.toUpperCase()) ? CHANGES[word.toUpperCase()] : undefined;
    if (change === undefined) throw invalid(`${word.toLowerCase()} is not a valid change command`);
    change(config, text, flags.split(/\s+/).filter(Boolean));
    hasCommand ||= word.toUpperCase() === 'CMD';
    // The command was meant for the entrypoint before.
    if (word.toUpperCase() === 'ENTRYPOINT' && !hasCommand) delete config.Cmd;
  }
  return config;
}

function command(config: ImageRunConfig, text: string): string[] {
  return jsonWords(text) ?? [...(config.Shell ?? SHELL), text];
}

function oneArgument(instruction: string, text: string): string {
  const words = splitWords(text);
  if (words.length !== 1 || words[0] === undefined)
    throw invalid(`${instruction} requires exactly one argument`);
  return words[0];
}

/** `80`, `80/udp` and `8000-8002` as the keys of `ExposedPorts`. */
function expandPorts(word: string): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word);
  if (match === null) throw invalid(`Invalid containerPort: ${word}`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? first);
  if (last < first || last > 65535) throw invalid(`Invalid containerPort: ${word}`);
  const protocol = (match[3] ?? 'tcp').toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
}

function healthcheck(text: string, flags: readonly string[]): HealthcheckConfig {
  const kind = text.split(/\s/, 1)[0]?.toUpperCase();
  const rest = text.slice(kind?.length ?? 0).trim();
  if (kind === 'NONE') {
    if (rest !== '') throw invalid('HEALTHCHECK NONE takes no arguments');
    return { Test: ['NONE'] };
  }
  if (kind !== 'CMD') throw invalid(`Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`);
  if (rest === '') throw invalid('Missing command after HEALTHCHECK CMD');
  const words = jsonWords(rest);
  const check: HealthcheckConfig = { Test: words === undefined ? ['CMD-SHELL', rest] : ['CMD', ...words] };
  for (const flag of flags) {
    const [, name = '', value = ''] = /^--([a-z-]+)=(.*)$/.exec(flag) ?? [];
    if (name === 'interval') check.Interval = duration(flag, value);
    else if (name === 'timeout') check.Timeout = duration(flag, value);
    else if (name === 'start-period') check.StartPeriod = duration(flag, value);
    else if (name === 'start-interval') check.StartInterval = duration(flag, value);
    else if (name === 'retries' && /^\d+$/.test(value)) check.Retries = Number(value);
    else throw invalid(`unknown flag: ${flag}`);
  }
  return check;
}

/** Nanoseconds. */
function duration(flag: string, text: string): number {
  const nanos = parseDuration(text);
  if (nanos === undefined) throw invalid(`invalid duration ${JSON.stringify(text)} in ${flag}`);
  return Number(nanos);
}
