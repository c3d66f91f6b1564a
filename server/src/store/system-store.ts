import { type Kysely, type SqlBool, sql } from 'kysely';
import { chunkSetOr } from './answering-set.ts';
import { toApiKey } from './api-keys.ts';
import { findBlobsInUse } from './blobs-in-use.ts';
import type { ChunkVectors } from './entities.ts';
import { indexParts } from './index-key.ts';
import { createJobClaims } from './job-claims.ts';
import { createLeaseRegistry, isDead } from './leases.ts';
import type { SystemStore } from './ports.ts';
import type { Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';
import { createUsageLedgerStore } from './usage.ts';
import { unpackWindows } from './vector-columns.ts';
import { createWorkerRegistry } from './workers.ts';

const VECTORS_PER_BATCH = 500;
const UNFINISHED_AT_ONCE = 10_000;

export interface SystemStoreOptions {
  readonly database: Kysely<Schema>;
  /** See `StoreOptions`. */
  readonly background: Kysely<Schema>;
  readonly dialect: SqlDialect;
  readonly now: () => number;
  /** This process, as its leases and marks name it. */
  readonly processId: string;
}

export function createSystemStore({ database, background, dialect, now, processId }: SystemStoreOptions): SystemStore {
  return {
    async findApiKey(secretHash) {
      const row = await database
        .selectFrom('api_keys')
        .selectAll()
        .where('secret_hash', '=', secretHash)
        .executeTakeFirst();
      return row === undefined ? null : toApiKey(row);
    },
    async touchApiKeys(ids, now) {
      if (ids.length === 0) return;
      await background
        .updateTable('api_keys')
        .set({ last_used_at: now })
        .where((where) => dialect.isOneOf(where.ref('api_keys.id'), ids))
        .execute();
    },
    jobs: createJobClaims(background, dialect),
    workers: createWorkerRegistry(background),
    leases: createLeaseRegistry(background, processId),
    usage: createUsageLedgerStore({ database, background, dialect }),
    async getSetting(name) {
      const row = await database.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst();
      return row?.value ?? null;
    },
    async setSetting(name, value) {
      await database
        .insertInto('settings')
        .values({ name, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
        .execute();
    },
    findUnfinished: (before) => findUnfinished(database, before),
    async findDueSyncs(now, limit) {
      const rows = await database
        .selectFrom('sources')
        .select(['tenant_id', 'bot_id', 'id'])
        .where('next_sync_at', '<=', now)
        .orderBy('next_sync_at')
        .limit(limit)
        .execute();
      return rows.map((row) => ({ tenantId: row.tenant_id, botId: row.bot_id, sourceId: row.id }));
    },
    blobHashesInUse: () => findBlobsInUse(database),
    loadVectors: (botId, generation, signal) => loadVectors(database, { botId, generation, signal }),
    async purgeLexicalIndexes(removedSince) {
      const bots = await database
        .selectFrom('bots')
        .select(['tenant_id', 'id'])
        .where('content_removed_at', '>=', removedSince)
        .execute();
      for (const bot of bots) await dialect.purgeLexicalIndex(background, { tenantId: bot.tenant_id, botId: bot.id });
      return bots.length;
    },
    async purgeSyncRuns(endedBefore) {
      const { numDeletedRows } = await database
        .deleteFrom('sync_runs')
        .where((where) => where.or([where('ended_at', '<', endedBefore), where('expires_at', '<', endedBefore)]))
        .executeTakeFirst();
      return Number(numDeletedRows);
    },
    async purgeIdempotency(olderThan) {
      const { numDeletedRows } = await database
        .deleteFrom('idempotency')
        .where((where) =>
          where.or([
            where('created_at', '<', olderThan),
            where.and([where('state', '=', 'running'), isDead(where.ref('idempotency.owner'), now())]),
          ]),
        )
        .executeTakeFirst();
      return Number(numDeletedRows);
    },
  };
}

async function findUnfinished(database: Kysely<Schema>, before: number) {
  const rows = await database
    .selectFrom('documents')
    .select(['documents.source_id', 'documents.tenant_id', 'documents.bot_id', 'documents.id'])
    // Not joined: SQLite would walk through the documents of all bots.
    .where((where) =>
      where(
        where.refTuple('documents.tenant_id', 'documents.source_id'),
        'in',
        where
          .selectFrom('sources')
          .select(['sources.tenant_id', 'sources.id'])
          // Spelled out, as the index has it.
          .where(sql<SqlBool>`sources.status = 'failed'`)
          .where('sources.updated_at', '<', before)
          .$asTuple('tenant_id', 'id'),
      ),
    )
    .where('documents.state', '=', 'building')
    .limit(UNFINISHED_AT_ONCE)
    .execute();
  const found = new Map<string, { tenantId: string; botId: string; documentIds: string[] }>();
  for (const { source_id, tenant_id, bot_id, id } of rows) {
    const known = found.get(source_id) ?? { tenantId: tenant_id, botId: bot_id, documentIds: [] };
    known.documentIds.push(id);
    found.set(source_id, known);
  }
  return [...found.values()];
}

async function* loadVectors(
  database: Kysely<Schema>,
  { botId, generation, signal }: { botId: string; generation: string; signal: AbortSignal | undefined },
): AsyncGenerator<readonly (ChunkVectors & { readonly documentId: string; readonly sourceId: string })[]> {
  const { space, chunkSet } = indexParts(generation);
  let last = 0;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await database
      .selectFrom('chunk_vectors')
      .innerJoin('chunks', 'chunks.number', 'chunk_vectors.chunk_number')
      .innerJoin('documents', (join) =>
        join.onRef('documents.tenant_id', '=', 'chunks.tenant_id').onRef('documents.id', '=', 'chunks.document_id'),
      )
      .select(['chunks.id', 'chunks.document_id', 'chunks.source_id', 'chunk_vectors.chunk_number'])
      .select(['chunk_vectors.windows', 'chunk_vectors.vectors'])
      .where('chunk_vectors.bot_id', '=', botId)
      .where('chunk_vectors.generation', '=', space)
      .where('chunks.chunk_set', '=', chunkSetOr(chunkSet))
      .where('chunk_vectors.chunk_number', '>', last)
      .where('documents.state', 'in', ['searchable', 'building'])
      .orderBy('chunk_vectors.chunk_number')
      .limit(VECTORS_PER_BATCH)
      .execute();
    if (rows.length > 0) {
      yield rows.map((row) => ({
        chunkId: row.id,
        documentId: row.document_id,
        sourceId: row.source_id,
        windows: unpackWindows(row.vectors, row.windows),
      }));
    }
    if (rows.length < VECTORS_PER_BATCH) return;
    last = rows.at(-1)?.chunk_number ?? last;
  }
}
