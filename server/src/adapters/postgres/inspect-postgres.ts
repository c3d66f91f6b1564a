import { Client } from 'pg';
import { toConnectError } from './connect-failure.ts';

/** What an operator needs to know of a database before a server runs on it. */
export interface PostgresReport {
  /** As the server calls itself, like `15.20`. */
  readonly version: string;
  /** Like 15; `OLDEST_POSTGRES` and later will do. */
  readonly majorVersion: number;
  readonly tookMs: number;
  /** The version of pgvector in this database; null: its extension is not created there. */
  readonly pgvector: string | null;
  /** Whether the user may create the tables, or brings those that are there up to date. */
  readonly mayCreate: boolean;
  /** Superusers and roles with BYPASSRLS: row-level security does not bind them. */
  readonly passesRowSecurity: boolean;
}

export const OLDEST_POSTGRES = 15;

const CONNECT_TIMEOUT_MS = 5_000;

const QUERY = `select
  current_setting('server_version') as version,
  current_setting('server_version_num')::int / 10000 as major,
  (select extversion from pg_extension where extname = 'vector') as pgvector,
  has_schema_privilege(current_schema(), 'CREATE') and not exists (
    select from pg_class where relnamespace = current_schema()::regnamespace and relname = 'schema_migrations'
      and not pg_has_role(relowner, 'USAGE')
  ) as "mayCreate",
  (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) as "passesRowSecurity"`;

interface Row {
  readonly version: string;
  readonly major: number;
  readonly pgvector: string | null;
  readonly mayCreate: boolean | null;
  readonly passesRowSecurity: boolean;
}

/** Connects once and asks. Rejects with `database_unavailable`, saying what to do. */
export async function inspectPostgres(url: string): Promise<PostgresReport> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => {});
  const began = performance.now();
  try {
    await client.connect();
    const { rows } = await client.query<Row>(QUERY);
    const [row] = rows;
    if (row === undefined) throw new Error('the database did not say what it is');
    return {
      version: row.version,
      majorVersion: row.major,
      tookMs: performance.now() - began,
      pgvector: row.pgvector,
      mayCreate: row.mayCreate === true,
      passesRowSecurity: row.passesRowSecurity,
    };
  } catch (error) {
    throw toConnectError(error, url);
  } finally {
    await client.end().catch(() => {});
  }
}
