export interface PublishedPort {
  IP?: string;
  PrivatePort: number;
  PublicPort?: number;
  Type: string;
}

/** `0.0.0.0:80->80/tcp, 81-83/tcp`: neighbouring ports that map alike are shown as one range. */
export function displayPorts(ports: readonly PublishedPort[]): string {
  const groups = new Map<string, { first: number; last: number }>();
  const single: string[] = [];
  const grouped: string[] = [];
  const finish = (key: string, group: { first: number; last: number }): void => {
    grouped.push(formGroup(key, group.first, group.last));
  };
  for (const port of ports.toSorted(order)) {
    const key = port.IP === undefined || port.IP === '' ? port.Type : `${port.IP}/${port.Type}`;
    if (port.IP && port.PublicPort !== port.PrivatePort) {
      single.push(`${host(port.IP)}:${port.PublicPort ?? 0}->${port.PrivatePort}/${port.Type}`);
      continue;
    }
    const group = groups.get(key);
    if (!group) groups.set(key, { first: port.PrivatePort, last: port.PrivatePort });
    else if (port.PrivatePort === group.last + 1) group.last = port.PrivatePort;
    else if (port.PrivatePort !== group.last) {
      finish(key, group);
      groups.set(key, { first: port.PrivatePort, last: port.PrivatePort });
    }
  }
  for (const [key, group] of groups) finish(key, group);
  // As docker has it: what keeps its number first.
  return [...grouped, ...single].join(', ');
}

function order(a: PublishedPort, b: PublishedPort): number {
  const text = (x = '', y = ''): number => (x < y ? -1 : x > y ? 1 : 0);
  return (
    a.PrivatePort - b.PrivatePort ||
    text(a.IP, b.IP) ||
    (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
    text(a.Type, b.Type)
  );
}

function formGroup(key: string, first: number, last: number): string {
  const slash = key.lastIndexOf('/');
  const ip = slash === -1 ? '' : key.slice(0, slash);
  const type = key.slice(slash + 1);
  const range = first === last ? String(first) : `${first}-${last}`;
  return `${ip === '' ? '' : `${host(ip)}:${range}->`}${range}/${type}`;
}

function host(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip;
}
