import { AppError } from '../../kernel/index.ts';

/** What PostgreSQL or the connection to it said, kept as the cause of the AppError. Values of rows are left out. */
export class PostgresFailure extends Error {
  override readonly name = 'PostgresFailure';
  /** The SQLSTATE, or the code of a failed connection (`ECONNREFUSED`, `CONNECTION_LOST`). */
  readonly code: string;
  /** The constraint that was violated. */
  readonly constraint: string | null;

  constructor({
    code,
    message,
    constraint = null,
  }: {
    readonly code: string;
    readonly message: string;
    readonly constraint?: string | null;
  }) {
    super(message);
    this.code = code;
    this.constraint = constraint;
  }
}

/** The connection ended, or was never had. */
export const CONNECTION_LOST = 'CONNECTION_LOST';
/** No answer came in time. */
export const NO_ANSWER = 'NO_ANSWER';

/** Serialization failures, deadlocks, waits for locks that took too long: the same work may succeed when it is done again. */
const IN_THE_WAY = /^(40001|40P01|55P03)$/;
/** Connections refused, lost or cancelled, servers that start or stop, and servers that are short of something. */
const UNAVAILABLE = /^(08|53|57P|57014|25P0[23]|58030|25006|E[A-Z]+$|CONNECTION_LOST|NO_ANSWER)/;
const DISK_FULL = '53100';
/** Wrong password, no such user or database, no permission: waiting does not help. */
const REFUSED = /^(28|3D000|42501)/;

/** The AppError for anything that a statement or a connection failed with. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const cause = toFailure(error);
  const { code } = cause;
  if (code === DISK_FULL) {
    return new AppError(
      'storage_full',
      'The database has no space left: nothing was stored. Free some and try again.',
      {
        retryable: true,
        cause,
      },
    );
  }
  if (IN_THE_WAY.test(code)) {
    return new AppError('database_unavailable', 'Another change was in the way of this one. Try again.', {
      retryable: true,
      cause,
    });
  }
  if (UNAVAILABLE.test(code)) {
    return new AppError('database_unavailable', 'The database cannot be reached at the moment. Try again.', {
      retryable: true,
      cause,
    });
  }
  if (REFUSED.test(code)) {
    return new AppError('database_unavailable', `The database refuses this user: ${cause.message}.`, { cause });
  }
  return new AppError('internal_error', 'The database refused a statement. Look in the log.', { cause });
}

/** The failure underneath an error that a repository sees; null when PostgreSQL is not its cause. */
export function failureOf(error: unknown): PostgresFailure | null {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof PostgresFailure ? cause : null;
}

function toFailure(error: unknown): PostgresFailure {
  if (error instanceof PostgresFailure) return error;
  const { code, constraint, message } = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly code?: unknown;
    readonly constraint?: unknown;
    readonly message?: unknown;
  };
  return new PostgresFailure({
    // The client gives lost connections and waits for one no code.
    code: typeof code === 'string' ? code : CONNECTION_LOST,
    message: typeof message === 'string' && message !== '' ? message : String(error),
    constraint: typeof constraint === 'string' ? constraint : null,
  });
}
