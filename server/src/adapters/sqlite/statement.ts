/** What SQLite stores. Whole numbers come back as numbers. */
export type SqlValue = string | number | null | Uint8Array;

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /**
   * `transaction`: refused unless a transaction is open, so that a statement whose transaction was rolled back by the
   * engine, or died with its thread, can never take effect on its own.
   */
  readonly within: 'transaction' | 'nothing';
}

export interface StatementResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
  /** Rows that were inserted, changed or deleted; 0 for statements that return rows. */
  readonly changes: number;
}

/** A failure of a statement as it crosses a thread border. */
export interface StatementFailure {
  /** SQLite's extended code (`SQLITE_CONSTRAINT_UNIQUE`), or one of this adapter's. */
  readonly code: string;
  readonly message: string;
}

/** Runs statements in the order in which they are given, one at a time. */
export interface StatementRunner {
  /** Rejects with an AppError; see `toAppError`. */
  execute(statement: Statement): Promise<StatementResult>;
  /** What was given before still runs; what comes after is refused. */
  stop(): Promise<void>;
}
