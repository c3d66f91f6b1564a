import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import { FIRST_CHUNK_SET } from './index-key.ts';
import type { Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

const TEXTS = [
  'tenant_id',
  'bot_id',
  'state',
  'embedding_model',
  'embedder_version',
  'chunk_set',
  'chunking_json',
  'origin',
  'policy',
];
const OPTIONAL_TEXTS = ['error_json', 'comparison_json', 'job_id'];
const NUMBERS = ['dimensions', 'state_at', 'progress_done', 'progress_total', 'created_at', 'updated_at'];

/** Index generations, golden questions, and the set that each chunk belongs to. */
export async function createGenerations(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await createGenerationsTable(database, dialect);
  await createGoldenQuestions(database, dialect);
  await database.schema
    .alterTable('chunks')
    .addColumn('chunk_set', 'text', (column) => column.notNull().defaultTo(FIRST_CHUNK_SET))
    .execute();
  await database.schema.alterTable('documents').addColumn('structure_json', 'text').execute();
  await database.schema
    .createIndex('chunks_by_bot_and_set')
    .on('chunks')
    .columns(['tenant_id', 'bot_id', 'chunk_set'])
    .execute();
  await dialect.divideLexicalTables(database, FIRST_CHUNK_SET);
  await adoptVectors(database);
}

async function createGenerationsTable(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  let table: CreateTableBuilder<string, string> = database.schema
    .createTable('index_generations')
    .addColumn('number', dialect.columnTypes.rowNumber)
    .addColumn('id', 'text', (column) => column.notNull().unique());
  for (const name of TEXTS) table = table.addColumn(name, 'text', (column) => column.notNull());
  for (const name of OPTIONAL_TEXTS) table = table.addColumn(name, 'text');
  for (const name of NUMBERS) table = table.addColumn(name, 'bigint', (column) => column.notNull());
  await table
    .addForeignKeyConstraint('index_generations_bot', ['tenant_id', 'bot_id'], 'bots', ['tenant_id', 'id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await database.schema
    .createIndex('index_generations_by_bot')
    .on('index_generations')
    .columns(['tenant_id', 'bot_id'])
    .execute();
  // One generation answers: the pointer of a bot is the row in this state.
  await sql`create unique index index_generations_active on index_generations (tenant_id, bot_id)
    where state = 'active'`.execute(database);
}

async function createGoldenQuestions(database: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await database.schema
    .createTable('golden_questions')
    .addColumn('number', dialect.columnTypes.rowNumber)
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('tenant_id', 'text', (column) => column.notNull())
    .addColumn('bot_id', 'text', (column) => column.notNull())
    .addColumn('question', 'text', (column) => column.notNull())
    .addColumn('expected_json', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addForeignKeyConstraint('golden_questions_bot', ['tenant_id', 'bot_id'], 'bots', ['tenant_id', 'id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await database.schema
    .createIndex('golden_questions_by_bot')
    .on('golden_questions')
    .columns(['tenant_id', 'bot_id'])
    .execute();
}

/** What was embedded before generations existed answers on: the space that most of a bot's chunks are in is its active one. */
async function adoptVectors(database: Kysely<Schema>): Promise<void> {
  const counted = await database
    .selectFrom('chunk_vectors')
    .select(['tenant_id', 'bot_id', 'generation'])
    .select((select) => select.fn.count<number>('chunk_number').as('chunks'))
    .groupBy(['tenant_id', 'bot_id', 'generation'])
    .orderBy('chunks', 'desc')
    .execute();
  const adopted = new Set<string>();
  for (const { tenant_id, bot_id, generation, chunks } of counted) {
    const [, model, version, dimensions] = /^(.+)@(.+):(\d+)$/.exec(generation) ?? [];
    if (adopted.has(bot_id) || model === undefined || version === undefined) continue;
    adopted.add(bot_id);
    await database
      .insertInto('index_generations')
      .values({
        id: `gen_${bot_id.replace(/^bot_/, '')}`,
        tenant_id,
        bot_id,
        state: 'active',
        embedding_model: model,
        embedder_version: version,
        dimensions: Number(dimensions),
        chunk_set: FIRST_CHUNK_SET,
        chunking_json: '{"type":"auto"}',
        origin: 'server',
        policy: 'if_not_worse',
        error_json: null,
        comparison_json: null,
        job_id: null,
        state_at: 0,
        progress_done: Number(chunks),
        progress_total: Number(chunks),
        created_at: 0,
        updated_at: 0,
      })
      .execute();
  }
}
