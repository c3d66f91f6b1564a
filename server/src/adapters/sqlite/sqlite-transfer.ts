import { stat } from 'node:fs/promises';
import {
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import { AppError, type Logger } from '../../kernel/index.ts';
import type { Schema, TransferConnection, TransferEngine } from '../../store/index.ts';
import { createDatabaseThread } from './database-thread.ts';
import { toQueryResult } from './kysely-dialect.ts';
import { sqliteSqlDialect } from './sqlite-sql-dialect.ts';
import type { StatementRunner } from './statement.ts';

interface SqliteTransferOptions {
  readonly file: string;
  readonly logger: Logger;
}

const sqliteTransferEngine: TransferEngine = {
  name: 'sqlite',
  dialect: sqliteSqlDialect,
  async columnsOf(database, table) {
    const { rows } = await sql<{ name: string }>`select name from pragma_table_info(${table})`.execute(database);
    return rows.map(({ name }) => name);
  },
  // Numbers that are given are remembered as those are that the database hands out.
  async continueNumbers() {},
  async gatherStatistics() {},
};

/**
 * The database as it is now, whatever other connections and processes write while it is read. The log of writes grows
 * until it is closed.
 *
 * @throws AppError `installation_not_found` when there is no such file; `database_unavailable`
 */
export async function openSqliteSnapshot({ file, logger }: SqliteTransferOptions): Promise<TransferConnection> {
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile()) {
    throw new AppError(
      'installation_not_found',
      `There is no database at ${file}. Name the data folder with --data-dir or CHATSPHERE_DATA_DIR, or the database with DATABASE_URL.`,
    );
  }
  const runner = createDatabaseThread({ file, role: 'reader', logger });
  const connection = connect(runner, 'transaction');
  try {
    await runner.execute({ sql: 'begin', parameters: [], within: 'nothing' });
    // The snapshot is taken by the first read.
    await sql`select count(*) from sqlite_master`.execute(connection.database);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** The database for being filled: nobody else may use it meanwhile. */
export function openSqliteForFilling({ file, logger }: SqliteTransferOptions): TransferConnection {
  return connect(createDatabaseThread({ file, role: 'writer', logger }), 'nothing');
}

function connect(runner: StatementRunner, within: 'transaction' | 'nothing'): TransferConnection {
  const database = new Kysely<Schema>({ dialect: createDialect(runner, within) });
  return { database, engine: sqliteTransferEngine, close: () => runner.stop() };
}

/** Kysely over one connection, for one user that waits for each answer. */
function createDialect(runner: StatementRunner, outside: 'transaction' | 'nothing'): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => createDriver(runner, outside),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function createDriver(runner: StatementRunner, outside: 'transaction' | 'nothing'): Driver {
  const inTransaction = new WeakSet<DatabaseConnection>();
  const control = (statement: string, within: 'transaction' | 'nothing') =>
    runner.execute({ sql: statement, parameters: [], within });
  return {
    async init() {},
    async acquireConnection() {
      const connection: DatabaseConnection = {
        executeQuery: async <Row>({ sql: text, parameters }: { sql: string; parameters: readonly unknown[] }) => {
          const within = inTransaction.has(connection) ? 'transaction' : outside;
          return toQueryResult<Row>(await runner.execute({ sql: text, parameters, within }));
        },
        streamQuery() {
          throw new Error('Rows are not streamed; read them in pages.');
        },
      };
      return connection;
    },
    async beginTransaction(connection) {
      await control('begin immediate', 'nothing');
      inTransaction.add(connection);
    },
    async commitTransaction(connection) {
      await control('commit', 'transaction');
      inTransaction.delete(connection);
    },
    async rollbackTransaction(connection) {
      await control('rollback', 'nothing').catch(() => {});
      inTransaction.delete(connection);
    },
    async releaseConnection() {},
    destroy: () => runner.stop(),
  };
}
