import type { Kysely } from 'kysely';
import { hasChunks } from '../answering-set.ts';
import type { Schema } from '../schema.ts';
import type { TransferConnection } from './transfer-engine.ts';

const DOCUMENTS_AT_ONCE = 50;

/** Makes the lexical index of every chunk set anew, from the chunks. Each chunk set is done in one transaction: done or not begun. */
export async function rebuildLexicalIndexes(
  { database, engine }: Pick<TransferConnection, 'database' | 'engine'>,
  options: { readonly onIndexed: (documents: number) => void; readonly signal: AbortSignal },
): Promise<void> {
  const sets = await database
    .selectFrom('chunks')
    .select(['tenant_id', 'bot_id', 'chunk_set'])
    .distinct()
    .orderBy('tenant_id')
    .orderBy('bot_id')
    .orderBy('chunk_set')
    .execute();
  for (const { tenant_id: tenantId, bot_id: botId, chunk_set: chunkSet } of sets) {
    const index = { tenantId, botId, chunkSet };
    await database.transaction().execute(async (transaction) => {
      await engine.dialect.dropLexicalIndexes(transaction, index);
      const add = await engine.dialect.openLexicalIndex(transaction, index);
      for await (const documentIds of documentsOf(transaction, index)) {
        options.signal.throwIfAborted();
        await add(documentIds);
        options.onIndexed(documentIds.length);
      }
    });
  }
}

async function* documentsOf(
  database: Kysely<Schema>,
  { tenantId, botId, chunkSet }: { readonly tenantId: string; readonly botId: string; readonly chunkSet: string },
): AsyncGenerator<readonly string[]> {
  for (let last = 0; ; ) {
    const rows = await database
      .selectFrom('documents')
      .select(['documents.number', 'documents.id'])
      .where('documents.tenant_id', '=', tenantId)
      .where('documents.bot_id', '=', botId)
      .where('documents.number', '>', last)
      .where((where) => hasChunks(where, chunkSet))
      .orderBy('documents.number')
      .limit(DOCUMENTS_AT_ONCE)
      .execute();
    if (rows.length > 0) yield rows.map(({ id }) => id);
    if (rows.length < DOCUMENTS_AT_ONCE) return;
    last = Number(rows.at(-1)?.number ?? last);
  }
}
