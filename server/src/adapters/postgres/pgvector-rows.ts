import { type Kysely, type RawBuilder, sql } from 'kysely';
import { AppError } from '../../kernel/index.ts';
import type { Schema } from '../../store/index.ts';
import type { Namespace, VectorRecord } from '../../vector-store/index.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

/** Keeps a statement's parameters (6 a row) and its size below the limits. */
const ROWS_A_STATEMENT = 200;

/**
 * A vector as pgvector takes it on the wire: count of dimensions, two bytes that mean nothing, 32-bit floats. It is given length 1, so that
 * the inner product of two, which costs least, is their cosine.
 */
export function toVector(vector: Float32Array): RawBuilder<unknown> {
  const scale = 1 / Math.sqrt(squaredLength(vector));
  const bytes = Buffer.alloc(4 + vector.length * 4);
  bytes.writeUInt16BE(vector.length);
  vector.forEach((component, index) => void bytes.writeFloatBE(component * scale, 4 + index * 4));
  return sql`${bytes}::vector`;
}

/** Whether it can be compared: finite, and not all zero. */
export function isUsable(vector: Float32Array): boolean {
  const sum = squaredLength(vector);
  return Number.isFinite(sum) && sum > 0;
}

function squaredLength(vector: Float32Array): number {
  let sum = 0;
  for (const component of vector) sum += component * component;
  return sum;
}

export function dimensionMismatch(): AppError {
  return new AppError('embedding_dimension_mismatch', 'The vectors of one namespace must have the same dimensions.');
}

/**
 * The number of a namespace, which is made when it is not there; null: so are none of the documents. All records must have its
 * dimensions.
 */
export async function openNamespace(
  database: Kysely<Schema>,
  { tenantId, botId, generation }: Namespace,
  records: readonly VectorRecord[],
): Promise<number | null> {
  const dimensions = records[0]?.vector.length ?? 0;
  if (records.some(({ vector }) => vector.length !== dimensions)) throw dimensionMismatch();
  const find = sql<{ number: number; dimensions: number }>`select number, dimensions from vector_namespaces
    where tenant_id = ${tenantId} and bot_id = ${botId} and generation = ${generation}`;
  let row = (await find.execute(database)).rows[0];
  if (row === undefined) {
    await sql`insert into vector_namespaces (tenant_id, bot_id, generation, dimensions)
      select ${tenantId}, ${botId}, ${generation}, ${dimensions}::integer
      where exists (select 1 from documents where tenant_id = ${tenantId} and ${ofDocuments(records)})
      on conflict do nothing`.execute(database);
    row = (await find.execute(database)).rows[0];
    if (row === undefined) return null;
  }
  if (row.dimensions !== dimensions) throw dimensionMismatch();
  return row.number;
}

/**
 * Adds or replaces rows; those of vectors that cannot be compared are taken out. Those of documents that are gone are left out: the
 * lock has who deletes one wait until the rows are there to go along, or has us wait until the document is gone.
 */
export async function putRows(
  database: Kysely<Schema>,
  { tenantId, number }: { readonly tenantId: string; readonly number: number },
  records: readonly VectorRecord[],
): Promise<void> {
  const latest = new Map(records.map((record) => [`${record.chunkId} ${record.window}`, record]));
  // In one order, so that writers of the same rows wait for each other instead of both failing.
  const rows = [...latest].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, record]) => record);
  const usable = rows.filter(({ vector }) => isUsable(vector));
  for (let first = 0; first < usable.length; first += ROWS_A_STATEMENT) {
    const part = usable.slice(first, first + ROWS_A_STATEMENT);
    const values = part.map(
      ({ chunkId, window, documentId, sourceId, vector }) =>
        sql`(${chunkId}, ${window}::integer, ${documentId}, ${sourceId}, ${toVector(vector)})`,
    );
    await sql`with present as materialized (
        select id from documents where tenant_id = ${tenantId} and ${ofDocuments(part)} order by id for key share
      )
      insert into vector_windows (tenant_id, namespace_number, chunk_id, position, document_id, source_id, embedding)
      select ${tenantId}, ${number}::bigint, given.*
      from (values ${sql.join(values)}) as given (chunk_id, position, document_id, source_id, embedding)
      where document_id in (select id from present)
      on conflict (namespace_number, chunk_id, position) do update
        set document_id = excluded.document_id, source_id = excluded.source_id, embedding = excluded.embedding`.execute(
      database,
    );
  }
  for (const { chunkId, window } of rows.filter(({ vector }) => !isUsable(vector))) {
    await sql`delete from vector_windows
      where namespace_number = ${number} and chunk_id = ${chunkId} and position = ${window}`.execute(database);
  }
}

function ofDocuments(records: readonly VectorRecord[]) {
  return isOneOf(sql.ref('id'), [...new Set(records.map(({ documentId }) => documentId))]);
}

/** The backlog no longer names the vectors of these chunks. */
export async function settleBacklog(
  database: Kysely<Schema>,
  { tenantId, space }: { readonly tenantId: string; readonly space: string },
  chunkIds: readonly string[],
): Promise<void> {
  await sql`delete from vector_backlog
    where tenant_id = ${tenantId} and space = ${space} and chunk_number in (
      select number from chunks where tenant_id = ${tenantId} and ${isOneOf(sql.ref('id'), chunkIds)}
    )`.execute(database);
}
