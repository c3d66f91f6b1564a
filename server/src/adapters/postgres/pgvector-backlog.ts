import { type Kysely, sql } from 'kysely';
import { indexKey, type Schema, unpackWindows } from '../../store/index.ts';
import type { Namespace, VectorRecord } from '../../vector-store/index.ts';

const CHUNKS_AT_ONCE = 500;

interface BacklogRow {
  readonly chunk_number: number;
  readonly space: string;
  readonly tenant_id: string;
  readonly bot_id: string | null;
  readonly chunk_set: string | null;
  readonly id: string | null;
  readonly document_id: string | null;
  readonly source_id: string | null;
  readonly windows: number | null;
  readonly vectors: Uint8Array | null;
}

/**
 * Brings vectors of the store into the index that nobody has brought in for a while: those of a process that ended between the two, and all
 * that was stored before there was an index. Gives how many chunks that was; several processes share them out.
 */
export async function workOffBacklog(
  database: Kysely<Schema>,
  of: {
    readonly olderThanMs: number;
    readonly signal: AbortSignal;
    readonly put: (database: Kysely<Schema>, namespace: Namespace, records: readonly VectorRecord[]) => Promise<void>;
  },
): Promise<number> {
  let total = 0;
  for (let count = CHUNKS_AT_ONCE; count === CHUNKS_AT_ONCE && !of.signal.aborted; total += count) {
    count = await database.transaction().execute(async (transaction) => {
      const rows = await takeRows(transaction, of.olderThanMs);
      for (const { namespace, records } of byNamespace(rows)) await of.put(transaction, namespace, records);
      if (rows.length > 0) {
        const done = JSON.stringify(rows.map((row) => [row.chunk_number, row.space]));
        await sql`delete from vector_backlog where (chunk_number, space) in (
          select (pair ->> 0)::bigint, pair ->> 1 from json_array_elements(${done}::json) as pair
        )`.execute(transaction);
      }
      return rows.length;
    });
  }
  return total;
}

/** Rows without a document are of vectors that are gone, or of documents that were refused. */
async function takeRows(database: Kysely<Schema>, olderThanMs: number): Promise<readonly BacklogRow[]> {
  const { rows } = await sql<BacklogRow>`
    with taken as (
      select chunk_number, space, tenant_id from vector_backlog
      where since <= now() - ${olderThanMs} * interval '1 millisecond'
      order by since
      limit ${CHUNKS_AT_ONCE}
      for update skip locked
    ), present as (
      select taken.chunk_number, taken.space, chunks.bot_id, chunks.chunk_set, chunks.id, chunks.document_id,
        chunks.source_id, chunk_vectors.windows, chunk_vectors.vectors
      from taken
      join chunk_vectors on chunk_vectors.chunk_number = taken.chunk_number and chunk_vectors.generation = taken.space
      join chunks on chunks.number = taken.chunk_number
      join documents on documents.tenant_id = chunks.tenant_id and documents.id = chunks.document_id
      where documents.state in ('searchable', 'building')
      for key share of documents
    )
    select taken.chunk_number, taken.space, taken.tenant_id, present.bot_id, present.chunk_set, present.id,
      present.document_id, present.source_id, present.windows, present.vectors
    from taken left join present on present.chunk_number = taken.chunk_number and present.space = taken.space`.execute(
    database,
  );
  return rows;
}

function byNamespace(
  rows: readonly BacklogRow[],
): Iterable<{ readonly namespace: Namespace; readonly records: readonly VectorRecord[] }> {
  const groups = new Map<string, { namespace: Namespace; records: VectorRecord[] }>();
  for (const row of rows) {
    if (row.bot_id === null || row.id === null || row.vectors === null) continue;
    const namespace = {
      tenantId: row.tenant_id,
      botId: row.bot_id,
      generation: indexKey({ space: row.space, chunkSet: row.chunk_set }),
    };
    const key = JSON.stringify(namespace);
    const group = groups.get(key) ?? { namespace, records: [] };
    groups.set(key, group);
    const of = { chunkId: row.id, documentId: row.document_id ?? '', sourceId: row.source_id ?? '' };
    for (const [window, vector] of unpackWindows(row.vectors, row.windows ?? 0).entries()) {
      group.records.push({ ...of, window, vector });
    }
  }
  return groups.values();
}
