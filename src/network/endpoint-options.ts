import { invalid } from '#/base/errors.ts';
import type { EndpointSettings } from '#/wire/generated.ts';

/** The interface's name in the container (Docker 28). */
export const INTERFACE_NAME = 'com.docker.network.endpoint.ifname';

/** What an endpoint's options ask for; the name is as netdevice(7) allows it. Undefined for the usual name. */
export function interfaceNameOf({ DriverOpts: options }: EndpointSettings): string | undefined {
  const name = options?.[INTERFACE_NAME];
  if (name === undefined || name === '') return undefined;
  if (!/^[^\s/:]{1,15}$/.test(name) || name === '.' || name === '..' || name === 'lo') {
    throw invalid(`invalid interface name "${name}" in ${INTERFACE_NAME}`);
  }
  return name;
}

/** Settings of endpoints on the built-in networks that do nothing, a sentence each. */
export function endpointWarnings(settings: EndpointSettings): string[] {
  const options = Object.keys(settings.DriverOpts ?? {}).filter((option) => option !== INTERFACE_NAME);
  return [
    ...options.map((option) => `The endpoint option "${option}" has no effect.`),
    ...(settings.Links?.length ? ['Links of an endpoint have no effect on the default bridge.'] : []),
  ];
}
