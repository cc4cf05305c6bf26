import type { Database } from '#/state/database.ts';
import type { Endpoint, NetworkRecord } from './driver.ts';

/** An endpoint as it is kept: with the container's name, which tables show. */
export interface EndpointRecord extends Endpoint {
  containerName: string;
}

const STEPS = [
  `CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL);
   CREATE TABLE endpoints (id TEXT PRIMARY KEY, network TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
     container TEXT NOT NULL, record TEXT NOT NULL);
   CREATE INDEX endpoints_network ON endpoints (network);
   CREATE INDEX endpoints_container ON endpoints (container);`,
];

/** The networks and who is on them. Which addresses are taken follows from the endpoints, and is not kept besides. */
export class NetworkRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.migrate('network', STEPS);
  }

  networks(): NetworkRecord[] {
    return this.#read<NetworkRecord>('SELECT record FROM networks ORDER BY name');
  }

  saveNetwork(network: NetworkRecord): void {
    this.#database
      .prepare(
        'INSERT INTO networks (id, name, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record',
      )
      .run(network.id, network.name, JSON.stringify(network));
  }

  endpoints(networkId?: string): EndpointRecord[] {
    if (networkId === undefined) return this.#read<EndpointRecord>('SELECT record FROM endpoints');
    return this.#read<EndpointRecord>('SELECT record FROM endpoints WHERE network = ?', networkId);
  }

  endpointsOf(containerId: string): EndpointRecord[] {
    return this.#read<EndpointRecord>('SELECT record FROM endpoints WHERE container = ?', containerId);
  }

  saveEndpoint(endpoint: EndpointRecord): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO endpoints (id, network, container, record) VALUES (?, ?, ?, ?)')
      .run(endpoint.endpointId, endpoint.networkId, endpoint.containerId, JSON.stringify(endpoint));
  }

  removeEndpoint(endpointId: string): void {
    this.#database.prepare('DELETE FROM endpoints WHERE id = ?').run(endpointId);
  }

  #read<T>(sql: string, ...values: string[]): T[] {
    return this.#database
      .prepare(sql)
      .all(...values)
      .map((row) => JSON.parse(String(row['record'])) as T);
  }
}
