import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely';
import type { PoolClient } from 'pg';
import { AppError } from '../../kernel/index.ts';
import type { Batch, ConnectionPool } from './connection-pool.ts';
import { toAppError } from './postgres-failure.ts';
import { EVERY_TENANT, type Scope, scopeOfStatement, scopeOfTransaction } from './scope.ts';
import type { Statement, StatementResult } from './statement-batch.ts';
import type { Turns } from './turns.ts';

export interface PostgresDriverOptions {
  readonly pool: ConnectionPool;
  readonly scope: Scope;
  /** Of the tenants' transactions within this process, so that those that wait for each other hold no connections. */
  readonly turns: Turns;
  /** How long a statement may take before its connection is given up, and soon after the database gives it up; null: as long as it likes. */
  readonly statementTimeoutMs: number | null;
}

/** Kysely's driver within one scope. Drivers share the pool: destroying one ends nothing. */
export function createPostgresDriver(options: PostgresDriverOptions): Driver {
  return {
    async init() {},
    acquireConnection: async () => new ScopedConnection(options),
    beginTransaction: (connection) => own(connection).begin(),
    commitTransaction: (connection) => own(connection).commit(),
    rollbackTransaction: (connection) => own(connection).rollback(),
    releaseConnection: async (connection) => own(connection).release(),
    async destroy() {},
  };
}

function own(connection: DatabaseConnection): ScopedConnection {
  if (!(connection instanceof ScopedConnection)) throw new Error('Not a connection of this driver.');
  return connection;
}

/** `ended`: statements that were asked for within it and come too late must never take effect on their own. */
type Transaction = 'none' | 'asked' | 'open' | 'ended';

/** What may violate a constraint, after which the transaction is to go on: each runs in a savepoint of its own. */
const MAY_VIOLATE = /^\s*(insert|update)\b/i;

const command = (sql: string): Statement => ({ sql, parameters: [] });
const COMMIT = command('commit');
const ROLLBACK = command('rollback');
const SAVEPOINT = command('savepoint statement');
const RELEASE = command('release savepoint statement');
const ROLLBACK_TO = command('rollback to savepoint statement');

/** Takes a connection from the pool with the first statement. */
class ScopedConnection implements DatabaseConnection {
  readonly #options: PostgresDriverOptions;
  #client: Promise<PoolClient> | null = null;
  #transaction: Transaction = 'none';
  #endTurn: (() => void) | null = null;
  #unusable = false;
  /** Ends when what was sent before is answered. */
  #before: Promise<unknown> = Promise.resolve();

  constructor(options: PostgresDriverOptions) {
    this.#options = options;
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.#transaction === 'ended') throw transactionEnded();
    const preface = this.#preface();
    const statement = { sql, parameters };
    if (this.#transaction !== 'open' || !MAY_VIOLATE.test(sql)) {
      return toQueryResult(await this.#run({ statements: [...preface, statement], asked: preface.length }));
    }
    const statements = [...preface, SAVEPOINT, statement, RELEASE];
    try {
      return toQueryResult(await this.#run({ statements, asked: preface.length + 1 }));
    } catch (error) {
      if (!this.#unusable) await this.#run({ statements: [ROLLBACK_TO, RELEASE], asked: 0 }).catch(() => {});
      throw error;
    }
  }

  // biome-ignore lint/correctness/useYield: rows are read in pages
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('Rows are not streamed; read them in pages.');
  }

  async begin(): Promise<void> {
    const { scope, turns } = this.#options;
    if (scope.tenantId !== EVERY_TENANT) this.#endTurn = await turns.take(scope.tenantId);
    this.#transaction = 'asked';
  }

  async commit(): Promise<void> {
    const wasOpen = this.#transaction === 'open';
    this.#transaction = 'ended';
    if (!wasOpen) return;
    const { command } = await this.#run({ statements: [COMMIT], asked: 0 });
    // PostgreSQL answers so when a statement has failed, even if nobody has looked.
    if (command === 'ROLLBACK') throw transactionEnded();
  }

  /** A connection on which it fails is closed, by which the database rolls back. */
  async rollback(): Promise<void> {
    const wasOpen = this.#transaction === 'open';
    this.#transaction = 'ended';
    if (!wasOpen || this.#unusable) return;
    await this.#run({ statements: [ROLLBACK], asked: 0 }).catch(() => {
      this.#unusable = true;
    });
  }

  async release(): Promise<void> {
    this.#endTurn?.();
    this.#endTurn = null;
    const client = await this.#client?.catch(() => null);
    this.#client = null;
    client?.release(this.#unusable || this.#transaction === 'open');
  }

  #preface() {
    if (this.#transaction === 'open') return [];
    const { scope, statementTimeoutMs } = this.#options;
    if (this.#transaction === 'none') return [scopeOfStatement(scope, statementTimeoutMs)];
    this.#transaction = 'open';
    return scopeOfTransaction(scope, statementTimeoutMs);
  }

  #run(batch: Batch): Promise<StatementResult> {
    const running = this.#before.then(() => this.#send(batch));
    this.#before = running.catch(() => {});
    return running;
  }

  async #send(batch: Batch): Promise<StatementResult> {
    const { pool, statementTimeoutMs } = this.#options;
    try {
      this.#client ??= pool.connect();
      return await pool.run(await this.#client, batch, statementTimeoutMs);
    } catch (error) {
      const failure = toAppError(error);
      if (failure.code === 'database_unavailable') this.#unusable = true;
      throw failure;
    }
  }
}

function transactionEnded(): AppError {
  return new AppError('database_unavailable', 'The transaction was rolled back. Try again.', { retryable: true });
}

const CHANGES = /^(INSERT|UPDATE|DELETE|MERGE)$/;

function toQueryResult<Row>({ rows, command, count }: StatementResult): QueryResult<Row> {
  return { rows: rows as Row[], ...(CHANGES.test(command) ? { numAffectedRows: BigInt(count) } : {}) };
}
