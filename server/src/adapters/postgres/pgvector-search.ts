import { randomUUID } from 'node:crypto';
import { type Expression, type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { abortable } from '../../resilience/index.ts';
import type { Schema } from '../../store/index.ts';
import type { Namespace, ScoredChunk, SearchFilter } from '../../vector-store/index.ts';
import { toVector } from './pgvector-rows.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

/** What a search must know of a namespace. */
export interface FoundNamespace {
  readonly number: number;
  readonly dimensions: number;
  /** Its graph is there and complete. */
  readonly graph: boolean;
}

export interface NearestRequest {
  readonly namespace: FoundNamespace;
  readonly vector: Float32Array;
  readonly limit: number;
  readonly filter: SearchFilter | undefined;
}

/** Windows that are asked for of each chunk that is wanted, and least of all. */
const WINDOWS_A_CHUNK = 3;
const LEAST_WINDOWS = 60;
const GROWTH = 4;
const MOST_WINDOWS = 10_000;

/** Null when nothing was put into it. */
export async function findNamespace(
  database: Kysely<Schema>,
  { tenantId, botId, generation }: Namespace,
): Promise<FoundNamespace | null> {
  const { rows } = await sql<FoundNamespace>`select number, dimensions, coalesce((
      select indisvalid from pg_index where indexrelid = to_regclass('vector_graph_' || number)
    ), false) as graph
    from vector_namespaces
    where tenant_id = ${tenantId} and bot_id = ${botId} and generation = ${generation}`.execute(database);
  return rows[0] ?? null;
}

/** Compares with every vector of the namespace that the filter lets through. */
export function nearestOfAll({ database, mark }: Asking, request: NearestRequest): Promise<readonly ScoredChunk[]> {
  const vector = toVector(request.vector);
  return nearestChunks(request.limit, async (wanted) => {
    const { rows } = await sql<ScoredRow>`${mark} select chunk_id, 0 - (embedding <#> ${vector}) as score
      from vector_windows
      where namespace_number = ${request.namespace.number} and ${ofSources(request.filter)}
      order by embedding <#> ${vector}, chunk_id
      limit ${wanted}`.execute(database);
    return rows;
  });
}

/**
 * Follows the graph of the namespace, which finds nearly all of the nearest (Malkov and Yashunin, 2018). It holds halves of the
 * precision; the scores are exact.
 */
export function nearestInGraph({ searching, mark }: Asking, request: NearestRequest): Promise<readonly ScoredChunk[]> {
  const { namespace, filter, limit } = request;
  const vector = toVector(request.vector);
  const halves = sql.raw(`halfvec(${namespace.dimensions})`);
  return nearestChunks(limit, async (wanted) => {
    // The number is spelled out: the index is for this namespace alone, which the planner has to see.
    const { rows } = await sql<ScoredRow>`${mark} select chunk_id, 0 - (embedding <#> ${vector}) as score
      from vector_windows
      where namespace_number = ${sql.lit(namespace.number)} and ${ofSources(filter)}
      order by embedding::${halves} <#> ${vector}::${halves}
      limit ${wanted}`.execute(searching);
    return rows;
  });
}

/** Asks for more windows until there are enough chunks: one may have many of the nearest. */
async function nearestChunks(
  limit: number,
  ask: (windows: number) => Promise<readonly ScoredRow[]>,
): Promise<readonly ScoredChunk[]> {
  for (let wanted = Math.max(LEAST_WINDOWS, limit * WINDOWS_A_CHUNK); ; wanted *= GROWTH) {
    const rows = await ask(wanted);
    const best = bestWindows(rows);
    if (best.length >= limit || rows.length < wanted || wanted >= MOST_WINDOWS) return best.slice(0, limit);
  }
}

/** Whether more vectors than that are of the sources. */
export async function holdsMore(
  { database, mark }: Asking,
  { namespace, filter }: Pick<NearestRequest, 'namespace' | 'filter'>,
  count: number,
): Promise<boolean> {
  const { rows } = await sql`${mark} select 1 from vector_windows
    where namespace_number = ${namespace.number} and ${ofSources(filter)}
    offset ${count} limit 1`.execute(database);
  return rows.length > 0;
}

/** Of the given chunks, by the best window of each. */
export async function scoresOfChunks(
  { database, mark }: Asking,
  namespace: Namespace,
  { vector, chunkIds }: { readonly vector: Float32Array; readonly chunkIds: readonly string[] },
): Promise<readonly ScoredChunk[]> {
  const { rows } = await sql<ScoredRow>`${mark} select chunk_id, max(0 - (embedding <#> ${toVector(vector)})) as score
    from vector_windows
    where namespace_number = (
        select number from vector_namespaces
        where tenant_id = ${namespace.tenantId} and bot_id = ${namespace.botId} and generation = ${namespace.generation}
      ) and ${isOneOf(sql.ref('chunk_id'), chunkIds)}
    group by chunk_id
    order by score desc, chunk_id`.execute(database);
  return rows.map(({ chunk_id: chunkId, score }) => ({ chunkId, score }));
}

/**
 * Runs queries that bear a mark, and cancels the one that is under way when the signal is aborted: the caller leaves at once, and the
 * database does not work on for nobody. The mark is in the text of the query, where another connection finds it.
 */
export function cancellable<Result>(
  databases: Omit<Asking, 'mark'>,
  work: (asking: Asking) => Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  const mark = `/* vectors ${randomUUID()} */`;
  const result = work({ ...databases, mark: sql.raw(mark) });
  if (signal === undefined) return result;
  const cancel = (): void => {
    sql`select pg_cancel_backend(pid) from pg_stat_activity where state = 'active' and starts_with(query, ${mark})`
      .execute(databases.database)
      .catch(() => {});
  };
  signal.addEventListener('abort', cancel, { once: true });
  return abortable(result, signal).finally(() => signal.removeEventListener('abort', cancel));
}

/** A database, and what queries must begin with so that they can be cancelled. */
export interface Asking {
  readonly database: Kysely<Schema>;
  /** The same with the settings for graphs. */
  readonly searching: Kysely<Schema>;
  readonly mark: RawBuilder<unknown>;
}

interface ScoredRow {
  readonly chunk_id: string;
  readonly score: number;
}

function ofSources(filter: SearchFilter | undefined): Expression<SqlBool> {
  return filter?.sourceIds === undefined ? sql<SqlBool>`true` : isOneOf(sql.ref('source_id'), filter.sourceIds);
}

function bestWindows(rows: readonly ScoredRow[]): ScoredChunk[] {
  const best = new Map<string, number>();
  for (const { chunk_id: chunkId, score } of rows) best.set(chunkId, Math.max(score, best.get(chunkId) ?? -1));
  return [...best]
    .map(([chunkId, score]) => ({ chunkId, score }))
    .sort((one, other) => other.score - one.score || (one.chunkId < other.chunkId ? -1 : 1));
}
