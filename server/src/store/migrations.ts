import type { Kysely } from 'kysely';
import { AppError } from '../kernel/index.ts';
import { createFirstSchema } from './migration-001-first-schema.ts';
import { addFairJobs } from './migration-002-fair-jobs.ts';
import { createGenerations } from './migration-003-generations.ts';
import { addWebSources } from './migration-004-web-sources.ts';
import { addSync } from './migration-005-sync.ts';
import { addChunking } from './migration-007-chunking.ts';
import { addContentRevision } from './migration-008-content-revision.ts';
import { addUsageLedger } from './migration-009-usage-ledger.ts';
import { addMessageStreams } from './migration-010-message-streams.ts';
import { addBotPrompts } from './migration-011-bot-prompts.ts';
import { addBotModels } from './migration-012-bot-models.ts';
import { addPromptVersions } from './migration-013-prompt-versions.ts';
import { addLeases } from './migration-020-leases.ts';
import { indexManyBots } from './migration-024-many-bots.ts';
import type { Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';
import { TENANT_TABLES } from './tenant-tables.ts';

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly up: (database: Kysely<Schema>, dialect: SqlDialect) => Promise<void>;
}

/** In order. A migration that was released never changes. */
const MIGRATIONS: readonly Migration[] = [
  { number: 1, name: 'first-schema', up: createFirstSchema },
  { number: 2, name: 'fair-jobs', up: addFairJobs },
  { number: 3, name: 'generations', up: createGenerations },
  { number: 4, name: 'web-sources', up: addWebSources },
  { number: 5, name: 'sync', up: addSync },
  { number: 7, name: 'chunking', up: addChunking },
  { number: 8, name: 'content-revision', up: addContentRevision },
  { number: 9, name: 'usage-ledger', up: addUsageLedger },
  { number: 10, name: 'message-streams', up: addMessageStreams },
  { number: 11, name: 'bot-prompts', up: addBotPrompts },
  { number: 12, name: 'bot-models', up: addBotModels },
  { number: 13, name: 'prompt-versions', up: addPromptVersions },
  { number: 20, name: 'leases', up: addLeases },
  { number: 24, name: 'many-bots', up: indexManyBots },
];

const TENANT_COLUMNS: ReadonlyMap<string, string> = new Map([
  ['tenants', 'id'],
  ...TENANT_TABLES.map((table) => [table, 'tenant_id'] as const),
]);

interface WithMigrations extends Schema {
  schema_migrations: { number: number; name: string; applied_at: number };
}

export interface MigrateOptions {
  readonly now: number;
  /** Goes no further than these; without it, to this version's schema. */
  readonly only?: readonly number[];
}

/**
 * Brings the database to this version's schema, in one transaction: all steps or none. Rejects with
 * `configuration_invalid` when a newer version has written the database.
 */
export async function migrate(
  database: Kysely<Schema>,
  dialect: SqlDialect,
  { now, only }: MigrateOptions,
): Promise<void> {
  refuseNewer(Math.max(0, ...(only ?? [])));
  const wanted = MIGRATIONS.filter(({ number }) => only === undefined || only.includes(number));
  await database.transaction().execute(async (transaction) => {
    await dialect.lockSchema(transaction);
    const tracked = transaction.withTables<Pick<WithMigrations, 'schema_migrations'>>();
    await tracked.schema
      .createTable('schema_migrations')
      .ifNotExists()
      .addColumn('number', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('applied_at', 'bigint', (column) => column.notNull())
      .execute();
    const rows = await tracked.selectFrom('schema_migrations').select('number').execute();
    const applied = new Set(rows.map(({ number }) => Number(number)));
    refuseNewer(Math.max(0, ...applied));
    // Not all above the highest: steps that were made side by side may come in any order.
    for (const migration of wanted.filter(({ number }) => !applied.has(number))) {
      await migration.up(transaction, dialect);
      await tracked
        .insertInto('schema_migrations')
        .values({ number: migration.number, name: migration.name, applied_at: now })
        .execute();
    }
    await dialect.protectTenants(transaction, TENANT_COLUMNS);
  });
}

/** The highest migration that this version knows. */
export const LATEST_MIGRATION = Math.max(...MIGRATIONS.map(({ number }) => number));

/** The numbers of the migrations that the database has been through; none when it is empty. */
export async function appliedMigrations(database: Kysely<Schema>): Promise<readonly number[]> {
  const tables = await database.introspection.getTables();
  if (!tables.some(({ name }) => name === 'schema_migrations')) return [];
  const rows = await database
    .withTables<Pick<WithMigrations, 'schema_migrations'>>()
    .selectFrom('schema_migrations')
    .select('number')
    .orderBy('number')
    .execute();
  return rows.map(({ number }) => Number(number));
}

function refuseNewer(applied: number): void {
  if (applied <= LATEST_MIGRATION) return;
  throw new AppError(
    'configuration_invalid',
    `The database was written by a newer version (schema ${applied}; this version knows ${LATEST_MIGRATION}). Run the newer version, or restore an older backup.`,
  );
}
