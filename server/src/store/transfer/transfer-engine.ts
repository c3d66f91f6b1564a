import type { Kysely } from 'kysely';
import type { Schema } from '../schema.ts';
import type { SqlDialect } from '../sql-dialect.ts';

/** What differs between engines when whole tables are read and written. */
export interface TransferEngine {
  readonly name: 'sqlite' | 'postgres';
  readonly dialect: SqlDialect;
  /** The columns of a table but those that the database computes itself; none when there is no such table. */
  columnsOf(database: Kysely<Schema>, table: string): Promise<readonly string[]>;
  /** Row numbers that are handed out from now on are above those that are there. */
  continueNumbers(database: Kysely<Schema>, table: string): Promise<void>;
  /** Lets the engine learn what was put into the tables, so that it plans well. */
  gatherStatistics(database: Kysely<Schema>): Promise<void>;
}

/** One connection to a database for reading or writing all of it. */
export interface TransferConnection {
  readonly database: Kysely<Schema>;
  readonly engine: TransferEngine;
  close(): Promise<void>;
}
