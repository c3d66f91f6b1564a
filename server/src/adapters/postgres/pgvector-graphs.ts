import { type Kysely, sql } from 'kysely';
import { type Logger, toAppError } from '../../kernel/index.ts';
import type { Schema } from '../../store/index.ts';

export interface VectorGraphsOptions {
  readonly database: Kysely<Schema>;
  /** Runs a statement that must be alone in its transaction, for as long as it takes. */
  readonly runAlone: (statement: string) => Promise<void>;
  readonly logger: Logger;
  /** A namespace with more vectors gets a graph. */
  readonly mostExact: number;
}

/** The HNSW graphs of large namespaces. */
export interface VectorGraphs {
  /** Tells of vectors that were added; builds a graph in the background when the namespace has grown large. */
  noteAdded(namespace: { readonly number: number; readonly dimensions: number }, count: number): void;
  /** Drops the graph of a namespace that is gone. */
  drop(namespace: number): Promise<void>;
  /** Drops all graphs of namespaces that are gone. */
  dropUnused(): Promise<void>;
  /** Resolves when no graph is being built by this process. */
  settled(): Promise<void>;
}

/** Vectors added by this process after which it counts again. */
const COUNT_EVERY = 500;
/** pgvector builds graphs of half-precision vectors up to this length. */
const MOST_DIMENSIONS = 4_000;
/**
 * Connections of a node, and candidates that are looked at for them. Of 200,000 vectors with near copies, 16 and 128 found .95 of the
 * nearest ten where these find .98, and took two thirds of the time to build.
 */
const M = 24;
const EF_CONSTRUCTION = 200;

/** The name of the index; whether it is valid says whether the graph can be searched. */
function graphName(namespace: number): string {
  return `vector_graph_${namespace}`;
}

/**
 * A graph a namespace, as a partial index: vectors of others are never met on the way, small namespaces pay nothing for it, and
 * what it finds does not depend on how much the others have.
 */
export function createVectorGraphs({ database, runAlone, logger, mostExact }: VectorGraphsOptions): VectorGraphs {
  const uncounted = new Map<number, number>();
  const building = new Map<number, Promise<void>>();

  async function buildWhenLarge({ number, dimensions }: { number: number; dimensions: number }): Promise<void> {
    if (!(await isLarge(number))) return;
    const name = graphName(number);
    const { rows } = await sql<{ valid: boolean; underway: boolean }>`
      select indisvalid as valid, exists (
        select 1 from pg_stat_progress_create_index where index_relid = pg_index.indexrelid
      ) as underway
      from pg_index where indexrelid = to_regclass(${name})`.execute(database);
    const [found] = rows;
    if (found !== undefined && (found.valid || found.underway)) return;
    // What an earlier attempt has left.
    if (found !== undefined) await runAlone(`drop index concurrently if exists ${name}`);
    logger.info({ namespace: number }, 'building the graph of a large vector namespace');
    await runAlone(
      `create index concurrently if not exists ${name} on vector_windows
        using hnsw ((embedding::halfvec(${dimensions})) halfvec_ip_ops)
        with (m = ${M}, ef_construction = ${EF_CONSTRUCTION})
        where namespace_number = ${number}`,
    );
    logger.info({ namespace: number }, 'the graph is there');
  }

  async function isLarge(number: number): Promise<boolean> {
    const { rows } = await sql`select 1 from vector_windows where namespace_number = ${number}
      offset ${mostExact} limit 1`.execute(database);
    return rows.length > 0;
  }

  return {
    noteAdded(namespace, count) {
      const { number, dimensions } = namespace;
      const before = uncounted.get(number);
      uncounted.set(number, (before ?? 0) + count);
      if (dimensions > MOST_DIMENSIONS || building.has(number)) return;
      // The first time as well: other processes may have added the others.
      if (before !== undefined && before + count < COUNT_EVERY) return;
      uncounted.set(number, 0);
      const built = buildWhenLarge(namespace)
        .catch((error) => {
          uncounted.delete(number);
          logger.warn({ namespace: number, code: toAppError(error).code, err: error }, 'a vector graph was not built');
        })
        .finally(() => building.delete(number));
      building.set(number, built);
    },
    async drop(namespace) {
      await building.get(namespace);
      uncounted.delete(namespace);
      await runAlone(`drop index concurrently if exists ${graphName(namespace)}`);
    },
    async dropUnused() {
      const { rows } = await sql<{ name: string }>`select index.relname as name from pg_index
        join pg_class as index on index.oid = pg_index.indexrelid
        where pg_index.indrelid = 'vector_windows'::regclass and index.relname ~ '^vector_graph_[0-9]+$'
          and substring(index.relname from 14)::bigint not in (select number from vector_namespaces)`.execute(database);
      for (const { name } of rows) await runAlone(`drop index concurrently if exists ${name}`);
    },
    async settled() {
      await Promise.all(building.values());
    },
  };
}
