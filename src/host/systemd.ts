import { existsSync } from 'node:fs';

/** Whether systemd runs this host (sd_booted(3)) and can be asked for scopes, which goes over the system's message bus. */
export function isSystemdHost(): boolean {
  return existsSync('/run/systemd/system') && existsSync('/run/dbus/system_bus_socket');
}
