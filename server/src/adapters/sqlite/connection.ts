import Database from 'libsql';
import { TRANSACTION_LOST, UNSUPPORTED_VALUE } from './sqlite-failure.ts';
import type { SqlValue, Statement, StatementFailure, StatementResult } from './statement.ts';

export interface ConnectionOptions {
  /** A path, or `:memory:`. */
  readonly file: string;
  /** Only the writer may change the file; a searcher reads it, and has temporary tables of its own in memory. */
  readonly role: 'writer' | 'reader' | 'searcher';
}

/** One connection to the database, used synchronously by the thread that opened it. */
export interface Connection {
  /** Throws a StatementFailure. */
  execute(statement: Statement): StatementResult;
  close(): void;
}

interface PreparedStatement {
  readonly statement: Database.Statement;
  /** Null for statements that return no rows. */
  readonly columns: readonly string[] | null;
}

const PREPARED_STATEMENTS = 200;
const BUSY_TIMEOUT_MS = 5_000;
const WAL_LIMIT_BYTES = 32 * 1024 * 1024;
const CACHE_KIB = 8 * 1024;

/** Opens the file, making it when it is not there. Throws a StatementFailure. */
export function openConnection({ file, role }: ConnectionOptions): Connection {
  const database = openDatabase(file);
  guarded(() => configure(database, role));
  const prepared = new Map<string, PreparedStatement>();

  function prepare(sql: string): PreparedStatement {
    const known = prepared.get(sql);
    if (known !== undefined) {
      // A map keeps insertion order: taken out and put back, the entry is the most recent one.
      prepared.delete(sql);
      prepared.set(sql, known);
      return known;
    }
    const statement = database.prepare(sql);
    const columns = statement.reader ? statement.columns().map(({ name }) => name) : null;
    if (columns !== null) statement.raw(true);
    const made = { statement, columns };
    prepared.set(sql, made);
    const oldest = prepared.keys().next().value;
    if (prepared.size > PREPARED_STATEMENTS && oldest !== undefined) prepared.delete(oldest);
    return made;
  }

  return {
    execute: ({ sql, parameters, within }) =>
      guarded(() => {
        if (within === 'transaction' && !database.inTransaction) {
          throw failure(TRANSACTION_LOST, 'the transaction was rolled back');
        }
        const { statement, columns } = prepare(sql);
        const bound = parameters.map(toBindable);
        if (columns === null) return { columns: [], rows: [], changes: statement.run(bound).changes };
        return { columns, rows: statement.all(bound) as SqlValue[][], changes: 0 };
      }),
    close() {
      prepared.clear();
      // Whatever another program still reads of the log is moved at the next start.
      if (role === 'writer') database.exec('pragma busy_timeout = 0; pragma wal_checkpoint(truncate)');
      database.close();
    },
  };
}

function openDatabase(file: string): Database.Database {
  try {
    return new Database(file);
  } catch (error) {
    // The binding gives failures to open no code.
    throw failure('SQLITE_CANTOPEN', String(error));
  }
}

function configure(database: Database.Database, role: ConnectionOptions['role']): void {
  database.exec(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
  database.exec('pragma journal_mode = wal');
  database.exec('pragma synchronous = full');
  database.exec('pragma foreign_keys = on');
  database.exec(`pragma cache_size = -${CACHE_KIB}`);
  database.exec(`pragma journal_size_limit = ${WAL_LIMIT_BYTES}`);
  // It would hold for temporary tables, too.
  if (role === 'reader') database.exec('pragma query_only = on');
  if (role === 'searcher') database.exec('pragma temp_store = memory');
}

/**
 * The binding stores every number as a float, cuts strings at a NUL and ends the process at a boolean: whole numbers go
 * in as integers, NUL becomes U+FFFD (of the same length), and what it cannot take is refused here.
 */
function toBindable(value: unknown): string | number | bigint | null | Uint8Array {
  switch (typeof value) {
    case 'string':
      return value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
    case 'number':
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case 'bigint':
      return value;
    case 'boolean':
      return value ? 1n : 0n;
    default:
      if (value === null || value instanceof Uint8Array) return value;
      throw failure(UNSUPPORTED_VALUE, `a ${typeof value} cannot be stored`);
  }
}

/** Errors of the binding as StatementFailure, which crosses thread borders. */
function guarded<Result>(act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    throw isFailure(error) ? failure(error.code, error.message) : failure('SQLITE_ERROR', String(error));
  }
}

function isFailure(error: unknown): error is StatementFailure {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string';
}

function failure(code: string, message: string): StatementFailure {
  return { code, message };
}
