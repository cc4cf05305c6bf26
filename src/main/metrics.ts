import { createServer, type Server } from 'node:http';
import type { SystemInfo } from '#/wire/generated.ts';

/** Serves `/metrics` in the Prometheus text format; names as dockerd has them where it has them. */
export async function serveMetrics(
  address: string,
  info: () => SystemInfo | Promise<SystemInfo>,
): Promise<Server> {
  const at = address.lastIndexOf(':');
  const port = Number(address.slice(at + 1));
  if (at < 0 || !Number.isInteger(port)) throw new Error(`invalid --metrics-addr: "${address}"`);
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    void Promise.resolve(info()).then(
      (facts) =>
        response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4' }).end(exposition(facts)),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address.slice(0, at) || '0.0.0.0', () => resolve());
  });
  return server;
}

function exposition(info: SystemInfo): string {
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  const states = [
    ['running', info.ContainersRunning],
    ['paused', info.ContainersPaused],
    ['stopped', info.ContainersStopped],
  ] as const;
  return [
    ...family(
      'engine_daemon_container_states_containers',
      'gauge',
      'The count of containers in various states',
    ),
    ...states.map(
      ([state, count]) => `engine_daemon_container_states_containers{state="${state}"} ${count ?? 0}`,
    ),
    ...family('engine_daemon_images', 'gauge', 'The count of images'),
    `engine_daemon_images ${info.Images ?? 0}`,
    ...family(
      'engine_daemon_engine_cpus_cpus',
      'gauge',
      'The number of cpus that the host system of the engine has',
    ),
    `engine_daemon_engine_cpus_cpus ${info.NCPU ?? 0}`,
    ...family(
      'engine_daemon_engine_memory_bytes',
      'gauge',
      'The number of bytes of memory that the host system of the engine has',
    ),
    `engine_daemon_engine_memory_bytes ${info.MemTotal ?? 0}`,
    ...family('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes'),
    `process_resident_memory_bytes ${memory.rss}`,
    ...family('process_cpu_seconds_total', 'counter', 'Total user and system CPU time spent in seconds'),
    `process_cpu_seconds_total ${(cpu.user + cpu.system) / 1e6}`,
    ...family('process_start_time_seconds', 'gauge', 'Start time of the process since unix epoch in seconds'),
    `process_start_time_seconds ${performance.timeOrigin / 1000}`,
    '',
  ].join('\n');
}

function family(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}
