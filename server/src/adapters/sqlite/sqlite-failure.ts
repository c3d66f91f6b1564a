import { AppError } from '../../kernel/index.ts';
import type { StatementFailure } from './statement.ts';

export const TRANSACTION_LOST = 'CHATSPHERE_TRANSACTION_LOST';
export const UNSUPPORTED_VALUE = 'CHATSPHERE_UNSUPPORTED_VALUE';

/** What SQLite said, kept as the cause of the AppError. Its text names tables and columns, never values. */
export class SqliteFailure extends Error {
  override readonly name = 'SqliteFailure';
  readonly code: string;

  constructor({ code, message }: StatementFailure) {
    super(message);
    this.code = code;
  }
}

const UNAVAILABLE =
  /^(SQLITE_(BUSY|LOCKED|IOERR|CANTOPEN|READONLY|PROTOCOL|NOMEM|INTERRUPT)|CHATSPHERE_TRANSACTION_LOST)/;
const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/;

/** The AppError for a failed statement: `storage_full`, `database_unavailable`, else `internal_error`. */
export function toAppError(failure: StatementFailure): AppError {
  const cause = new SqliteFailure(failure);
  if (failure.code.startsWith('SQLITE_FULL')) {
    return new AppError('storage_full', 'The disk is full: nothing was stored. Free some space and try again.', {
      retryable: true,
      cause,
    });
  }
  if (DAMAGED.test(failure.code)) {
    return new AppError(
      'database_unavailable',
      'The database file is damaged or is not a database. Restore it from a backup.',
      { cause },
    );
  }
  if (UNAVAILABLE.test(failure.code)) return databaseUnavailable(cause);
  return new AppError('internal_error', 'The database refused a statement. Look in the log.', { cause });
}

export function databaseUnavailable(cause?: unknown): AppError {
  return new AppError('database_unavailable', 'The database cannot be reached at the moment. Try again.', {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The failure underneath an error that a repository sees; null when SQLite is not its cause. */
export function failureOf(error: unknown): SqliteFailure | null {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof SqliteFailure ? cause : null;
}
