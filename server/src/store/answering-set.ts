import { type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from 'kysely';
import { FIRST_CHUNK_SET } from './index-key.ts';
import type { Schema } from './schema.ts';

/** The given chunk set, else that of the generation which answers the bot of the row in `chunks`. */
export function chunkSetOr(chunkSet: string | null | undefined): RawBuilder<string> {
  return chunkSet === null || chunkSet === undefined ? ANSWERING : sql<string>`${chunkSet}`;
}

const ANSWERING = sql<string>`coalesce((
  select active.chunk_set from index_generations as active
  where active.tenant_id = chunks.tenant_id and active.bot_id = chunks.bot_id and active.state = 'active'
), ${sql.lit(FIRST_CHUNK_SET)})`;

/** Whether the row in `documents` is cut for the chunk set. */
export function hasChunks(where: ExpressionBuilder<Schema, 'documents'>, chunkSet: string): Expression<SqlBool> {
  return where.exists(
    where
      .selectFrom('chunks')
      .select(sql.lit(1).as('one'))
      .whereRef('chunks.tenant_id', '=', 'documents.tenant_id')
      .whereRef('chunks.document_id', '=', 'documents.id')
      .where('chunks.chunk_set', '=', chunkSet),
  );
}
