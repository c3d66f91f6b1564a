import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { AppError, type Clock, type Logger, toAppError } from '../../kernel/index.ts';
import { indexParts, type Schema } from '../../store/index.ts';
import type { Namespace, VectorRecord, VectorStore } from '../../vector-store/index.ts';
import { workOffBacklog } from './pgvector-backlog.ts';
import { createVectorGraphs } from './pgvector-graphs.ts';
import { dimensionMismatch, isUsable, openNamespace, putRows, settleBacklog } from './pgvector-rows.ts';
import {
  cancellable,
  type FoundNamespace,
  findNamespace,
  holdsMore,
  nearestInGraph,
  nearestOfAll,
  scoresOfChunks,
} from './pgvector-search.ts';
import { createVectorTables } from './pgvector-tables.ts';
import { failureOf } from './postgres-failure.ts';
import { isOneOf } from './postgres-sql-dialect.ts';

export interface PgvectorStoreOptions {
  /** The database in the scope of every tenant. */
  readonly database: Kysely<Schema>;
  ofTenant(tenantId: string): {
    readonly background: Kysely<Schema>;
    /** With the settings of `NEAREST_SETTINGS`. */
    readonly searching: Kysely<Schema>;
  };
  /** Runs a statement that must be alone in its transaction, for as long as it takes. */
  readonly runAlone: (statement: string) => Promise<void>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger: Logger;
  /** A namespace with more vectors is searched by a graph; with fewer, each is compared. */
  readonly mostExact?: number;
  /** How long vectors of the store may be missing from the index before they are brought in by whoever sees it. */
  readonly backlogPatienceMs?: number;
}

/**
 * How graphs are searched: candidates that are kept, going on until a filter has let enough through, and no comparing of all vectors
 * instead, which the planner takes for cheaper than it is.
 */
export const NEAREST_SETTINGS: Readonly<Record<string, string>> = {
  'hnsw.ef_search': '250',
  'hnsw.iterative_scan': 'relaxed_order',
  enable_sort: 'off',
  jit: 'off',
};

const MOST_EXACT = 5_000;
const BACKLOG_PATIENCE_MS = 60_000;
const BACKLOG_EVERY_MS = 30_000;
/** data_exception: what pgvector says of vectors of different lengths. */
const DIFFERENT_LENGTHS = '22000';
/** foreign_key_violation: the namespace was deleted at that moment. */
const NAMESPACE_GONE = '23503';

/**
 * Vectors in PostgreSQL with pgvector, one row a window. Small namespaces are compared whole, by way of a btree; a large one
 * has an HNSW graph of its own. What the store writes comes in with `upsert`, or else from the backlog that triggers keep.
 */
export function createPgvectorStore(options: PgvectorStoreOptions): VectorStore {
  const { database, runAlone, clock, logger, mostExact = MOST_EXACT } = options;
  const olderThanMs = options.backlogPatienceMs ?? BACKLOG_PATIENCE_MS;
  const graphs = createVectorGraphs({ database, runAlone, logger, mostExact });
  let stopping = new AbortController();
  let catchingUp: Promise<void> = Promise.resolve();

  async function put(into: Kysely<Schema>, namespace: Namespace, records: readonly VectorRecord[]): Promise<void> {
    if (records.length === 0) return;
    const number = await openNamespace(into, namespace, records);
    if (number === null) return;
    await putRows(into, { tenantId: namespace.tenantId, number }, records);
    graphs.noteAdded({ number, dimensions: records[0]?.vector.length ?? 0 }, records.length);
  }

  /** Does not let one namespace that cannot take its vectors hold the others up. */
  async function putFromBacklog(...parts: Parameters<typeof put>): Promise<void> {
    try {
      await put(...parts);
    } catch (error) {
      if (toAppError(error).code !== 'embedding_dimension_mismatch') throw error;
      logger.warn({ namespace: parts[1], err: error }, 'vectors of another length were left out of the index');
    }
  }

  async function catchUp(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const chunks = await workOffBacklog(database, { olderThanMs, put: putFromBacklog, signal });
        if (chunks > 0) logger.info({ chunks }, 'brought stored vectors into the vector index');
        await graphs.dropUnused();
      } catch (error) {
        logger.warn(
          { code: toAppError(error).code, err: error },
          'the vector index could not be completed; will try again',
        );
      }
      await clock.sleep(BACKLOG_EVERY_MS, signal).catch(() => {});
    }
  }

  function databasesOf({ tenantId }: Namespace) {
    const { searching, background } = options.ofTenant(tenantId);
    return { database: background, searching };
  }

  async function isSearchedByGraph(...[asking, { namespace, filter }]: Parameters<typeof holdsMore>): Promise<boolean> {
    if (!namespace.graph) return false;
    return filter?.sourceIds === undefined || holdsMore(asking, { namespace, filter }, mostExact);
  }

  return {
    async upsert(namespace, records, signal) {
      signal?.throwIfAborted();
      const { tenantId } = namespace;
      const { background } = options.ofTenant(tenantId);
      await again(() => put(background, namespace, records));
      const chunkIds = [...new Set(records.map(({ chunkId }) => chunkId))];
      if (chunkIds.length === 0) return;
      await settleBacklog(background, { tenantId, space: indexParts(namespace.generation).space }, chunkIds);
    },
    async deleteDocuments(namespace, documentIds, signal) {
      signal?.throwIfAborted();
      if (documentIds.length === 0) return;
      const { background } = options.ofTenant(namespace.tenantId);
      await sql`delete from vector_windows where namespace_number = ${numberOf(namespace)}
        and ${isOneOf(sql.ref('document_id'), documentIds)}`.execute(background);
    },
    async deleteNamespace(namespace, signal) {
      signal?.throwIfAborted();
      const { background } = options.ofTenant(namespace.tenantId);
      const found = await findNamespace(background, namespace);
      if (found === null) return;
      await sql`delete from vector_namespaces where number = ${found.number}`.execute(background);
      if (found.graph) await graphs.drop(found.number);
    },
    async search(namespace, { vector, limit, filter }, signal) {
      signal?.throwIfAborted();
      if (limit < 1 || filter?.sourceIds?.length === 0) return [];
      return cancellable(
        databasesOf(namespace),
        async (asking) => {
          const found: FoundNamespace | null = await findNamespace(asking.database, namespace);
          if (found === null) return [];
          if (found.dimensions !== vector.length) throw dimensionMismatch();
          if (!isUsable(vector)) return [];
          const request = { namespace: found, vector, limit, filter };
          const nearest = (await isSearchedByGraph(asking, request, mostExact)) ? nearestInGraph : nearestOfAll;
          return nearest(asking, request);
        },
        signal,
      );
    },
    async score(namespace, { vector, chunkIds }, signal) {
      signal?.throwIfAborted();
      if (chunkIds.length === 0 || !isUsable(vector)) return [];
      const wanted = { vector, chunkIds: [...new Set(chunkIds)] };
      try {
        return await cancellable(databasesOf(namespace), (asking) => scoresOfChunks(asking, namespace, wanted), signal);
      } catch (error) {
        throw failureOf(error)?.code === DIFFERENT_LENGTHS ? dimensionMismatch() : error;
      }
    },
    async start() {
      await createVectorTables(database);
      stopping = new AbortController();
      catchingUp = catchUp(stopping.signal);
    },
    async stop() {
      stopping.abort(new AppError('server_draining', 'The vector store is stopping.'));
      await catchingUp;
      await graphs.settled();
    },
  };
}

/** Once more when the namespace was deleted while it was written to. */
async function again(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (failureOf(error)?.code !== NAMESPACE_GONE) throw error;
    await work();
  }
}

function numberOf({ tenantId, botId, generation }: Namespace) {
  return sql`(select number from vector_namespaces
    where tenant_id = ${tenantId} and bot_id = ${botId} and generation = ${generation})`;
}
