import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { WriteRecorder } from '../../store/index.ts';
import type { StatementResult, StatementRunner } from './statement.ts';
import type { Durability, TurnStatement, WriterTurns, WriteTurn } from './writer-turns.ts';

export interface SqliteConnections {
  readonly writer: StatementRunner;
  /** Null when there is one connection alone: reads then take their turn with the writes. */
  readonly reader: StatementRunner | null;
  readonly turns: WriterTurns;
  /** Of everything that is written through this dialect. */
  readonly durability: Durability;
  /** Told of the writes that it concerns, from the first one of a transaction to its end. */
  readonly writes: WriteRecorder;
}

/** Kysely over the connections: reads outside transactions go to the reader, all else takes its turn at the writer. */
export function createKyselyDialect(connections: SqliteConnections): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => createDriver(connections),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function createDriver({ writer, reader, turns, durability, writes }: SqliteConnections): Driver {
  const turnOf = new WeakMap<DatabaseConnection, WriteTurn>();
  const recording = new WeakMap<DatabaseConnection, () => void>();

  function run(connection: DatabaseConnection, statement: TurnStatement): Promise<StatementResult> {
    const turn = turnOf.get(connection);
    if (turn !== undefined) {
      if (writes.concerns(statement.sql) && !recording.has(connection)) recording.set(connection, writes.begin());
      return turn.execute(statement);
    }
    if (reader !== null && isRead(statement.sql)) return reader.execute({ ...statement, within: 'nothing' });
    const running = turns.run(statement, durability);
    return writes.concerns(statement.sql) ? running.finally(writes.begin()) : running;
  }

  function endRecording(connection: DatabaseConnection): void {
    recording.get(connection)?.();
    recording.delete(connection);
  }

  function createConnection(): DatabaseConnection {
    const connection: DatabaseConnection = {
      async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
        return toQueryResult(await run(connection, { sql, parameters }));
      },
      streamQuery() {
        throw new Error('Rows are not streamed; read them in pages.');
      },
    };
    return connection;
  }

  return {
    async init() {},
    acquireConnection: async () => createConnection(),
    async beginTransaction(connection) {
      turnOf.set(connection, await turns.begin(durability));
    },
    async commitTransaction(connection) {
      await turnOf.get(connection)?.commit();
      endRecording(connection);
    },
    async rollbackTransaction(connection) {
      await turnOf.get(connection)?.rollback();
      endRecording(connection);
    },
    async releaseConnection(connection) {
      turnOf.delete(connection);
      endRecording(connection);
    },
    async destroy() {
      await reader?.stop();
      await writer.stop();
    },
  };
}

function isRead(sql: string): boolean {
  return /^\s*select\b/i.test(sql);
}

export function toQueryResult<Row>({ columns, rows, changes }: StatementResult): QueryResult<Row> {
  return {
    numAffectedRows: BigInt(changes),
    rows: rows.map((values) => {
      const row: Record<string, unknown> = {};
      columns.forEach((name, position) => {
        row[name] = values[position];
      });
      return row as Row;
    }),
  };
}
