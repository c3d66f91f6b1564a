import { Pool, type PoolClient } from 'pg';
import type { Logger } from '../../kernel/index.ts';
import { NO_ANSWER, PostgresFailure } from './postgres-failure.ts';
import { type Statement, StatementBatch, type StatementResult } from './statement-batch.ts';

export interface ConnectionPoolOptions {
  readonly url: string;
  /** Most connections at a time. */
  readonly connections: number;
  readonly logger: Logger;
}

export interface Batch {
  readonly statements: readonly Statement[];
  /** The position of the statement whose result is wanted. */
  readonly asked: number;
}

/** Connections to one database. Errors are those of the client; `toAppError` makes sense of them. */
export interface ConnectionPool {
  /** Waits until one is free. What it gives is to be released. */
  connect(): Promise<PoolClient>;
  /** Sends statements together. Rejects when it takes longer than `timeoutMs`; null: waits. */
  run(client: PoolClient, batch: Batch, timeoutMs: number | null): Promise<StatementResult>;
  stop(): Promise<void>;
}

/** How long to wait for a connection to the server, or for one of the pool's to be free. */
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 60_000;

/** Connects when it is first asked to. */
export function createConnectionPool({ url, connections, logger }: ConnectionPoolOptions): ConnectionPool {
  const pool = new Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'chatsphere',
  });
  // Of connections that nobody uses at the moment; they are replaced when one is needed.
  pool.on('error', (error) => logger.warn({ error: error.message }, 'an idle connection to the database was lost'));
  return {
    async connect() {
      const client = await pool.connect();
      // Its statements are told as well; without a listener the process would end.
      if (client.listenerCount('error') === 0) client.on('error', () => {});
      return client;
    },
    async run(client, { statements, asked }, timeoutMs) {
      const batch = client.query(new StatementBatch(statements, asked));
      if (timeoutMs === null) return batch.result;
      const timer = setTimeout(
        () => batch.handleError(new PostgresFailure({ code: NO_ANSWER, message: `no answer within ${timeoutMs} ms` })),
        timeoutMs,
      );
      try {
        return await batch.result;
      } finally {
        clearTimeout(timer);
      }
    },
    stop: () => pool.end(),
  };
}
