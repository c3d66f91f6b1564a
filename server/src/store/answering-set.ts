import { type RawBuilder, sql } from 'kysely';
import { FIRST_CHUNK_SET } from './index-key.ts';

/** The given chunk set, else that of the generation which answers the bot of the row in `chunks`. */
export function chunkSetOr(chunkSet: string | null | undefined): RawBuilder<string> {
  return chunkSet === null || chunkSet === undefined ? ANSWERING : sql<string>`${chunkSet}`;
}

const ANSWERING = sql<string>`coalesce((
  select active.chunk_set from index_generations as active
  where active.tenant_id = chunks.tenant_id and active.bot_id = chunks.bot_id and active.state = 'active'
), ${sql.lit(FIRST_CHUNK_SET)})`;
