import { AppError } from '../../kernel/index.ts';
import { CONNECTION_LOST, failureOf, type PostgresFailure, toAppError } from './postgres-failure.ts';

interface Address {
  readonly place: string;
  readonly database: string;
  readonly user: string;
}

interface Remedy {
  readonly code: RegExp;
  readonly message?: RegExp;
  readonly retryable?: boolean;
  says(address: Address, failure: PostgresFailure): string;
}

/** In this order: the first that fits. PgBouncer says all in the message, under one code. */
const REMEDIES: readonly Remedy[] = [
  {
    code: /^(3D000|08P01)$/,
    message: /^3D000|database .*does not exist|no such database/i,
    says: ({ place, database }) =>
      `There is no database "${database}" at ${place}. Create it (create database ${database}) or correct the name at the end of DATABASE_URL.`,
  },
  {
    code: /^(28P01|08P01|CONNECTION_LOST)$/,
    message: /password|SASL|SCRAM/i,
    says: ({ place, user }) =>
      `The database at ${place} refuses the password of the user "${user}", or there is none in DATABASE_URL. Correct it there; characters like @ / : % # are written as %40 %2F %3A %25 %23.`,
  },
  {
    code: /^(28|08P01)/,
    message: /role|user|pg_hba|authoriz|authentic|login/i,
    says: ({ place, user, database }, { message }) =>
      `The database at ${place} lets nobody in as the user "${user}" to "${database}" (${message}). Create that user, or allow it in pg_hba.conf, or correct DATABASE_URL.`,
  },
  {
    code: /^42501$/,
    says: ({ place, user, database }) =>
      `The user "${user}" may not connect to the database "${database}" at ${place}. Grant it CONNECT, or name another user in DATABASE_URL.`,
  },
  {
    code: /^(ENOTFOUND|EAI_AGAIN)$/,
    says: ({ place }) =>
      `The host of ${place} is not known here: its name has no address. Correct the host in DATABASE_URL, or the name service of this machine.`,
  },
  {
    code: /^ECONNREFUSED$/,
    retryable: true,
    says: ({ place }) =>
      `Nobody listens at ${place}. Start PostgreSQL there, let it listen on that address (listen_addresses), or correct host and port in DATABASE_URL.`,
  },
  {
    code: /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|CONNECTION_LOST)$/,
    message: /timeout|unreach|ETIMEDOUT/i,
    retryable: true,
    says: ({ place }) =>
      `${place} does not answer within 5 seconds. Check the host and port in DATABASE_URL, and firewalls in between.`,
  },
  {
    code: /./,
    message: /\bSSL\b|certificate|TLS/i,
    says: ({ place }, { message }) =>
      `No encrypted connection to ${place} came about (${message}). Set sslmode in DATABASE_URL as the server needs it.`,
  },
  {
    code: /^57P03$/,
    retryable: true,
    says: ({ place }) => `The database at ${place} is starting or stopping. Try again in a moment.`,
  },
  {
    code: /^53300$/,
    retryable: true,
    says: ({ place }) =>
      `The database at ${place} takes no more connections. Lower DATABASE_POOL_SIZE, raise max_connections there, or put PgBouncer in between.`,
  },
];

/**
 * What keeps a process from connecting, for whoever has set the address: what to do, and where. Names host, port, database and user,
 * never the password.
 */
export function toConnectError(error: unknown, url: string): AppError {
  const known = toAppError(error);
  const failure = failureOf(known);
  if (failure === null) return known;
  const message = `${failure.code} ${failure.message}`;
  const remedy = REMEDIES.find(({ code, message: says }) => code.test(failure.code) && (says?.test(message) ?? true));
  if (remedy === undefined) {
    if (failure.code !== CONNECTION_LOST) return known;
    return new AppError(
      'database_unavailable',
      `What answers at ${addressOf(url).place} closed the connection. Check that it is PostgreSQL, and the port in DATABASE_URL.`,
      { retryable: true, cause: failure },
    );
  }
  return new AppError('database_unavailable', remedy.says(addressOf(url), failure), {
    retryable: remedy.retryable ?? false,
    cause: failure,
  });
}

function addressOf(url: string): Address {
  const { hostname, port, pathname, username } = new URL(url);
  return {
    place: `${hostname}:${port === '' ? '5432' : port}`,
    database: decodeURIComponent(pathname.slice(1)),
    user: decodeURIComponent(username),
  };
}
