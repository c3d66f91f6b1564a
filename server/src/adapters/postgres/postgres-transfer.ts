import { type DatabaseConnection, type Driver, Kysely, type QueryResult, sql } from 'kysely';
import type { PoolClient } from 'pg';
import { AppError, type Logger } from '../../kernel/index.ts';
import { LIVES, type Schema, type TransferConnection, type TransferEngine } from '../../store/index.ts';
import { toConnectError } from './connect-failure.ts';
import { type ConnectionPool, createConnectionPool } from './connection-pool.ts';
import { createUniqueColumns } from './constraint-columns.ts';
import { postgresDialect, requireUsable } from './open-postgres.ts';
import { createPostgresDriver } from './postgres-driver.ts';
import { toAppError } from './postgres-failure.ts';
import { postgresLexicalDialect } from './postgres-lexical-dialect.ts';
import { createPostgresSqlDialect } from './postgres-sql-dialect.ts';
import { EVERY_TENANT, TENANT_SETTING } from './scope.ts';
import { createTurns } from './turns.ts';

interface PostgresTransferOptions {
  readonly url: string;
  readonly logger: Logger;
}

/** Tells these connections from those of servers, whose name begins the same. */
const APPLICATION = 'chatsphere-transfer';
const SERVERS = 'chatsphere';
/** Held while the database is filled or emptied. */
const FILLING_LOCK = 7_246_540;

const postgresTransferEngine: TransferEngine = {
  name: 'postgres',
  dialect: createPostgresSqlDialect({ lexical: postgresLexicalDialect, uniqueColumns: createUniqueColumns() }),
  async columnsOf(database, table) {
    const { rows } = await sql<{ name: string }>`select column_name as name from information_schema.columns
      where table_schema = current_schema() and table_name = ${table} and is_generated = 'NEVER'`.execute(database);
    return rows.map(({ name }) => name);
  },
  async continueNumbers(database, table) {
    await sql`select setval(pg_get_serial_sequence(${sql.lit(table)}, 'number'), max(number))
      from ${sql.table(table)} having max(number) is not null`.execute(database);
  },
  async gatherStatistics(database) {
    for (const { name } of await database.introspection.getTables()) {
      await sql`analyze ${sql.table(name)}`.execute(database);
    }
  },
};

/**
 * The database as it is now, in one read-only transaction, whatever others write meanwhile.
 *
 * @throws AppError `database_unavailable`
 */
export async function openPostgresSnapshot({ url, logger }: PostgresTransferOptions): Promise<TransferConnection> {
  const pool = createConnectionPool({ url: named(url), connections: 1, logger });
  try {
    const client = await pool.connect();
    await begin(pool, client);
    const database = new Kysely<Schema>({ dialect: postgresDialect(() => createSnapshotDriver(pool, client)) });
    return {
      database,
      engine: postgresTransferEngine,
      async close() {
        client.release(true);
        await pool.stop();
      },
    };
  } catch (error) {
    await pool.stop();
    throw toConnectError(error, url);
  }
}

/**
 * The database for being filled or emptied, by one at a time.
 *
 * @throws AppError `migration_source_in_use` when another process fills or empties it; `database_unavailable`
 */
export async function openPostgresForFilling({ url, logger }: PostgresTransferOptions): Promise<TransferConnection> {
  await requireUsable(named(url), logger);
  const pool = createConnectionPool({ url: named(url), connections: 3, logger });
  let unlock: () => Promise<void>;
  try {
    unlock = await takeLock(pool);
  } catch (error) {
    await pool.stop();
    throw toConnectError(error, url);
  }
  const scope = { tenantId: EVERY_TENANT, durability: 'synced' } as const;
  const turns = createTurns();
  const driver = () => createPostgresDriver({ pool, scope, turns, statementTimeoutMs: null });
  return {
    database: new Kysely<Schema>({ dialect: postgresDialect(driver) }),
    engine: postgresTransferEngine,
    async close() {
      await unlock();
      await pool.stop();
    },
  };
}

/**
 * Takes a connection of its own, with a transaction that holds the lock until what this gives is called: a lock of the session would be
 * left behind in a pooler, where nobody finds it again.
 */
async function takeLock(pool: ConnectionPool): Promise<() => Promise<void>> {
  const client = await pool.connect();
  const run = (...statements: readonly string[]) => {
    const sent = statements.map((text) => ({ sql: text, parameters: [] }));
    return pool.run(client, { statements: sent, asked: sent.length - 1 }, null);
  };
  try {
    const { rows } = await run(
      'begin',
      `select set_config('idle_in_transaction_session_timeout', '0', true), set_config('statement_timeout', '0', true)`,
      `select pg_try_advisory_xact_lock(${FILLING_LOCK}) as taken`,
    );
    if (rows[0]?.['taken'] === true) {
      return async () => {
        const isFree = await run('rollback').then(
          () => true,
          () => false,
        );
        client.release(!isFree);
      };
    }
  } catch (error) {
    client.release(true);
    throw error;
  }
  client.release(true);
  throw new AppError(
    'migration_source_in_use',
    'Another process fills or empties that database. Wait until it has ended.',
  );
}

/** Servers and workers say that they live every five seconds. */
const QUIET_MS = 20_000;

/**
 * Whether servers or workers work on the database: their connections, or their leases when they have connections only to a pooler. What a
 * pooler keeps of theirs after their end does not count once nobody has used it for that long.
 */
export async function hasServers(
  { database }: Pick<TransferConnection, 'database'>,
  { quietMs = QUIET_MS }: { readonly quietMs?: number } = {},
): Promise<boolean> {
  // Within a transaction, the database would show the connections of before again.
  await sql`select pg_stat_clear_snapshot()`.execute(database);
  const connected = await sql`select 1 from pg_stat_activity
    where datname = current_database() and application_name = ${SERVERS}
      and (state <> 'idle' or state_change > clock_timestamp() - ${quietMs} * interval '1 millisecond')
    limit 1`.execute(database);
  if (connected.rows.length > 0) return true;
  const { rows: tables } = await sql`select 1 where to_regclass('leases') is not null`.execute(database);
  if (tables.length === 0) return false;
  const { rows } = await sql`select 1 from leases where name like ${`${LIVES}%`}
    and expires_at > extract(epoch from clock_timestamp()) * 1000 limit 1`.execute(database);
  return rows.length > 0;
}

function named(url: string): string {
  const address = new URL(url);
  address.searchParams.set('application_name', APPLICATION);
  return address.href;
}

async function begin(pool: ConnectionPool, client: PoolClient): Promise<void> {
  const settings = `select set_config('${TENANT_SETTING}', $1, true),
    set_config('idle_in_transaction_session_timeout', '0', true), set_config('statement_timeout', '0', true)`;
  await pool.run(
    client,
    {
      statements: [
        { sql: 'begin isolation level repeatable read read only', parameters: [] },
        { sql: settings, parameters: [EVERY_TENANT] },
      ],
      asked: 0,
    },
    null,
  );
}

/** All statements within the one transaction of the client; there are no others. */
function createSnapshotDriver(pool: ConnectionPool, client: PoolClient): Driver {
  const refuse = (): never => {
    throw new AppError('internal_error', 'A snapshot is one transaction and has no others.');
  };
  const connection: DatabaseConnection = {
    async executeQuery<Row>({ sql: text, parameters }: { sql: string; parameters: readonly unknown[] }) {
      try {
        const { rows } = await pool.run(client, { statements: [{ sql: text, parameters }], asked: 0 }, null);
        return { rows: rows as Row[] } satisfies QueryResult<Row>;
      } catch (error) {
        throw toAppError(error);
      }
    },
    streamQuery: refuse,
  };
  return {
    async init() {},
    acquireConnection: async () => connection,
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    async releaseConnection() {},
    async destroy() {},
  };
}
