import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import type { Schema, TenantTable } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

/** Columns in table order: a name, `?` after it when it may be null. Times and counters are `bigint`. */
interface Columns {
  readonly text?: readonly string[];
  readonly number?: readonly string[];
}

/** Everything the first version stores. */
export async function createFirstSchema(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await createTenantsAndBots(database, dialect);
  await createContent(database, dialect);
  await createJobs(database, dialect);
  await createConversations(database, dialect);
  await createAccounts(database, dialect);
  await createInstallation(database, dialect);
  await dialect.createLexicalTables(database);
}

async function createTenantsAndBots(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await listed(database, dialect, 'tenants')
    .$call(withColumns({ text: ['name'], number: ['created_at', 'updated_at'] }))
    .execute();
  await owned(database, dialect, 'bots')
    .$call(
      withColumns({
        text: ['name', 'slug', 'instructions?', 'model?', 'refusal_message?'],
        number: ['max_output_tokens?', 'created_at', 'updated_at'],
      }),
    )
    .addColumn('temperature', 'double precision')
    .$call(withColumns({ text: ['retrieval_json', 'privacy_json', 'metadata_json'] }))
    .addUniqueConstraint('bots_slug', ['tenant_id', 'slug'])
    .$call(belongsToTenant('bots'))
    .execute();
}

async function createContent(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await owned(database, dialect, 'sources')
    .$call(
      withColumns({
        text: ['bot_id', 'type', 'title', 'url?', 'status', 'stage?', 'job_id?', 'external_key?', 'content_hash'],
        number: ['progress_done', 'progress_total', 'created_at', 'updated_at'],
      }),
    )
    .$call(withColumns({ text: ['counts_json', 'last_error_json?', 'metadata_json', 'inputs_json'] }))
    .addUniqueConstraint('sources_external_key', ['tenant_id', 'bot_id', 'external_key'])
    .$call(belongsTo('sources', 'bots', 'bot_id'))
    .execute();
  await owned(database, dialect, 'documents')
    .$call(
      withColumns({
        text: ['bot_id', 'source_id', 'title', 'url?', 'input_name', 'state', 'last_error_json?', 'content_hash'],
        number: ['tokens', 'created_at'],
      }),
    )
    .$call(withColumns({ text: ['text'] }))
    .$call(belongsTo('documents', 'sources', 'source_id'))
    .execute();
  await index(database, 'sources', ['tenant_id', 'bot_id']);
  await index(database, 'documents', ['tenant_id', 'source_id']);
  await owned(database, dialect, 'chunks')
    .$call(
      withColumns({
        text: ['bot_id', 'source_id', 'document_id', 'hash'],
        number: ['position', 'start_offset', 'end_offset', 'page?', 'tokens'],
      }),
    )
    .$call(withColumns({ text: ['heading_path_json', 'text'] }))
    .$call(belongsTo('chunks', 'documents', 'document_id'))
    .execute();
  await index(database, 'chunks', ['tenant_id', 'document_id']);
  await index(database, 'chunks', ['tenant_id', 'source_id']);
  await index(database, 'chunks', ['tenant_id', 'hash']);
  await database.schema
    .createTable('chunk_vectors')
    .$call(withColumns({ number: ['chunk_number'], text: ['generation', 'tenant_id', 'bot_id'] }))
    .addColumn('windows', 'integer', (column) => column.notNull())
    .addColumn('vectors', dialect.columnTypes.bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint('chunk_vectors_key', ['chunk_number', 'generation'])
    .addForeignKeyConstraint('chunk_vectors_chunk', ['chunk_number'], 'chunks', ['number'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await index(database, 'chunk_vectors', ['bot_id', 'generation', 'chunk_number']);
}

async function createJobs(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await owned(database, dialect, 'jobs')
    .$call(
      withColumns({
        text: ['bot_id?', 'source_id?', 'kind', 'state', 'stage', 'lease_owner?', 'last_error_json?', 'payload_json'],
        number: ['priority', 'progress_done', 'progress_total', 'attempts', 'max_attempts', 'lease_expires_at?'],
      }),
    )
    .$call(
      withColumns({
        number: [
          'fencing_token',
          'cancel_requested',
          'run_at',
          'deadline_at',
          'created_at',
          'updated_at',
          'finished_at?',
        ],
      }),
    )
    .addColumn('settled', 'integer', (column) => column.notNull().defaultTo(0))
    .$call(belongsToTenant('jobs'))
    .execute();
  await index(database, 'jobs', ['tenant_id']);
  await index(database, 'jobs', ['tenant_id', 'source_id']);
  await index(database, 'jobs', ['tenant_id', 'bot_id']);
  await sql`create index jobs_unfinished on jobs (priority, run_at, number) where state in ('queued', 'running')`.execute(
    database,
  );
  await sql`create index jobs_unsettled on jobs (number) where state in ('failed', 'cancelled') and settled = 0`.execute(
    database,
  );
}

async function createConversations(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await owned(database, dialect, 'conversations')
    .$call(
      withColumns({
        text: ['bot_id', 'end_user?', 'title?', 'summary?', 'summarized_through?', 'metadata_json'],
        number: ['created_at', 'updated_at'],
      }),
    )
    .$call(belongsTo('conversations', 'bots', 'bot_id'))
    .execute();
  await index(database, 'conversations', ['tenant_id']);
  await index(database, 'conversations', ['tenant_id', 'bot_id']);
  await index(database, 'conversations', ['tenant_id', 'end_user']);
  await owned(database, dialect, 'messages')
    .$call(
      withColumns({
        text: ['bot_id', 'conversation_id', 'role', 'content', 'status', 'citations_json', 'served_by?'],
        number: ['grounded?', 'created_at'],
      }),
    )
    .$call(belongsTo('messages', 'conversations', 'conversation_id'))
    .execute();
  await index(database, 'messages', ['tenant_id', 'conversation_id']);
}

async function createAccounts(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await owned(database, dialect, 'api_keys')
    .$call(
      withColumns({
        text: ['name', 'secret_hash', 'hint', 'scopes_json', 'bots_json?', 'origins_json?', 'limits_json'],
        number: ['expires_at?', 'revoked_at?', 'last_used_at?', 'created_at'],
      }),
    )
    .addUniqueConstraint('api_keys_secret_hash', ['secret_hash'])
    .$call(belongsToTenant('api_keys'))
    .execute();
  await owned(database, dialect, 'usage')
    .$call(
      withColumns({
        text: ['bot_id?', 'key_id?', 'end_user?', 'conversation_id?', 'kind', 'model', 'outcome'],
        number: ['input_tokens', 'output_tokens', 'duration_ms', 'created_at'],
      }),
    )
    .$call(belongsToTenant('usage'))
    .execute();
  await index(database, 'usage', ['tenant_id']);
  await database.schema
    .createTable('idempotency')
    .$call(
      withColumns({ text: ['tenant_id', 'key', 'fingerprint', 'state', 'body?'], number: ['status?', 'created_at'] }),
    )
    .addPrimaryKeyConstraint('idempotency_key', ['tenant_id', 'key'])
    .$call(belongsToTenant('idempotency'))
    .execute();
  await index(database, 'idempotency', ['created_at']);
}

async function createInstallation(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema
    .createTable('settings')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .$call(withColumns({ text: ['value'] }))
    .execute();
  await database.schema
    .createTable('word_vectors')
    .$call(withColumns({ text: ['model', 'word'] }))
    .addColumn('vector', dialect.columnTypes.bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint('word_vectors_key', ['model', 'word'])
    .execute();
}

type AnyTable = CreateTableBuilder<string, string>;

function listed(database: Kysely<Schema>, dialect: SqlDialect, table: keyof Schema): AnyTable {
  return database.schema
    .createTable(table)
    .addColumn('number', dialect.columnTypes.rowNumber)
    .addColumn('id', 'text', (column) => column.notNull().unique()) as AnyTable;
}

/** A listed table of one tenant's rows, whose pair (tenant, id) other tables can point to. */
function owned(database: Kysely<Schema>, dialect: SqlDialect, table: TenantTable): AnyTable {
  return listed(database, dialect, table)
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addUniqueConstraint(`${table}_tenant_id`, ['tenant_id', 'id']);
}

function withColumns({ text = [], number = [] }: Columns): (table: AnyTable) => AnyTable {
  return (table) => {
    const columns = [
      ...text.map((name) => [name, 'text'] as const),
      ...number.map((name) => [name, 'bigint'] as const),
    ];
    return columns.reduce<AnyTable>((built, [name, type]) => {
      if (name.endsWith('?')) return built.addColumn(name.slice(0, -1), type);
      return built.addColumn(name, type, (column) => column.notNull());
    }, table);
  };
}

function belongsToTenant(table: TenantTable): (built: AnyTable) => AnyTable {
  return (built) =>
    built.addForeignKeyConstraint(`${table}_tenant`, ['tenant_id'], 'tenants', ['id'], (key) =>
      key.onDelete('cascade'),
    );
}

/** The tenant is part of the key: a row cannot hang on another tenant's parent. */
function belongsTo(table: TenantTable, parent: TenantTable, column: string): (built: AnyTable) => AnyTable {
  return (built) =>
    built.addForeignKeyConstraint(`${table}_parent`, ['tenant_id', column], parent, ['tenant_id', 'id'], (key) =>
      key.onDelete('cascade'),
    );
}

async function index(database: Kysely<Schema>, table: keyof Schema, columns: readonly string[]): Promise<void> {
  await database.schema
    .createIndex(`${table}_by_${columns.join('_')}`)
    .on(table)
    .columns([...columns])
    .execute();
}
