import { type EmbeddingGenerator, windowsOf } from '../../embeddings/index.ts';
import type { StageContext, StageResult } from '../../jobs/index.ts';
import { AppError } from '../../kernel/index.ts';
import {
  type ChunkVectors,
  type EmbeddableChunk,
  everyItem,
  type Source,
  type Store,
  type TenantStore,
} from '../../store/index.ts';
import type { Namespace, VectorStore } from '../../vector-store/index.ts';
import type { TrainingActivity } from './training-activity.ts';

export interface FollowOptions {
  readonly store: Pick<Store, 'forTenant'>;
  /** The embedder that follows the one which training waits for. */
  readonly embeddings: Pick<EmbeddingGenerator, 'profile' | 'generation' | 'embed'>;
  readonly generationOf?: (bot: Pick<Namespace, 'tenantId' | 'botId'>) => Promise<string | null>;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteDocuments'>;
  readonly activity: Pick<TrainingActivity, 'quiet'>;
}

/** About a second's work: training that begins meanwhile does not wait longer. */
const BATCH_CHUNKS = 12;
/** Chunks of one source that are looked up by their hashes; a longer source asks the model for the rest. */
const MOST_INHERITING = 2_000;

/**
 * Gives vectors of the following space to every chunk of the bot's trained sources that has none, whenever nothing is
 * being trained. The sources are ready all the while. Run again, it goes on with what is missing.
 */
export function createFollowStage(
  options: FollowOptions,
  onBegun: (bot: Pick<Namespace, 'tenantId' | 'botId'>) => void,
): (context: StageContext) => Promise<StageResult> {
  return async (context) => {
    const { tenantId, botId } = context.job;
    if (botId === null) throw new AppError('internal_error', 'A follow job names no bot.');
    await options.activity.quiet(context.signal);
    const tenant = options.store.forTenant(tenantId);
    const generation = await generationFor({ tenantId, botId }, options);
    if (generation === null) {
      onBegun({ tenantId, botId });
      return { type: 'succeeded' };
    }
    const work: Following = { tenant, namespace: { tenantId, botId, generation } };
    // From here on, what is trained may be missed and asks for a job of its own.
    onBegun({ tenantId, botId });
    const sources = await trainedSources(work);
    const total = sources.reduce((sum, { counts }) => sum + counts.chunks, 0);
    let done = 0;
    for (const source of sources) {
      const counted = await tenant.chunks.countOf(source.id, work.namespace.generation);
      done += counted.embedded;
      context.progress(Math.min(done, total), total);
      if (counted.embedded === counted.chunks) continue;
      const isComplete = await followSource(work, source, {
        ...options,
        context,
        onBatch: (chunks) => {
          done += chunks;
          context.progress(Math.min(done, total), total);
        },
      });
      if (!isComplete) return { type: 'yielded' };
    }
    return { type: 'succeeded' };
  };
}

function generationFor(
  bot: Pick<Namespace, 'tenantId' | 'botId'>,
  { generationOf, embeddings }: Pick<FollowOptions, 'generationOf' | 'embeddings'>,
): Promise<string | null> | string {
  return generationOf === undefined ? embeddings.generation : generationOf(bot);
}

interface Following {
  readonly tenant: TenantStore;
  readonly namespace: Namespace;
}

interface FollowingSource extends FollowOptions {
  readonly context: StageContext;
  readonly onBatch: (chunks: number) => void;
}

/** What is still being trained asks again when it is ready. */
async function trainedSources({ tenant, namespace }: Following): Promise<readonly Source[]> {
  const sources: Source[] = [];
  for await (const source of everyItem((page) => tenant.sources.list(namespace.botId, page))) {
    if (source.status === 'ready' || source.status === 'partial') sources.push(source);
  }
  return sources;
}

/** False when others are to come first. */
async function followSource(work: Following, { id }: Source, options: FollowingSource): Promise<boolean> {
  const { context, activity } = options;
  for (let after: string | undefined; ; ) {
    await activity.quiet(context.signal);
    const rest = { limit: BATCH_CHUNKS, after };
    const batch = await work.tenant.chunks.withoutVectors(id, work.namespace.generation, rest);
    if (batch.length === 0) return true;
    after = batch.at(-1)?.id;
    await followBatch(work, batch, options);
    options.onBatch(batch.length);
    if (context.sliceOver()) return false;
    if (batch.length < BATCH_CHUNKS) return true;
  }
}

async function followBatch(
  work: Following,
  batch: readonly EmbeddableChunk[],
  options: FollowingSource,
): Promise<void> {
  const { context, embeddings } = options;
  const known = await knownVectors(work, batch);
  const rows: ChunkVectors[] = [];
  for (const chunk of batch) {
    const windows = known.get(chunk.hash) ?? (await embedChunk(chunk, embeddings, context.signal));
    rows.push({ chunkId: chunk.id, windows });
  }
  await keep(work, { batch, rows }, options);
}

/**
 * Gives the chunks of a source that is being trained the vectors of equal chunks, which go when an earlier version of
 * the source does. For those that are left, `createFollowStage` asks the model.
 */
export async function inheritVectors(
  { job, lease, signal }: Pick<StageContext, 'job' | 'lease' | 'signal'>,
  options: Pick<FollowOptions, 'store' | 'embeddings' | 'generationOf' | 'vectors'>,
): Promise<void> {
  const { tenantId, botId, sourceId } = job;
  if (botId === null || sourceId === null) return;
  const generation = await generationFor({ tenantId, botId }, options);
  if (generation === null) return;
  const work: Following = {
    tenant: options.store.forTenant(tenantId),
    namespace: { tenantId, botId, generation },
  };
  const chunks = await work.tenant.chunks.withoutVectors(sourceId, generation, { limit: MOST_INHERITING });
  const known = await knownVectors(work, chunks);
  const batch = chunks.filter(({ hash }) => known.has(hash));
  const rows = batch.map(({ id, hash }) => ({ chunkId: id, windows: known.get(hash) ?? [] }));
  if (rows.length > 0) await keep(work, { batch, rows }, { ...options, context: { lease, signal } });
}

async function knownVectors({ tenant, namespace }: Following, chunks: readonly EmbeddableChunk[]) {
  return tenant.chunks.findVectors(
    namespace.generation,
    chunks.map(({ hash }) => hash),
  );
}

/** Stores vectors, puts them into the index, and takes out again what was deleted from the store meanwhile. */
async function keep(
  { tenant, namespace }: Following,
  { batch, rows }: { readonly batch: readonly EmbeddableChunk[]; readonly rows: readonly ChunkVectors[] },
  { context, vectors }: Pick<FollowOptions, 'vectors'> & { readonly context: Pick<StageContext, 'lease' | 'signal'> },
): Promise<void> {
  await tenant.fencedTransaction(context.lease, ({ chunks }) => chunks.putVectors(namespace.generation, rows));
  const records = batch.flatMap(({ id, documentId, sourceId }, position) =>
    (rows[position]?.windows ?? []).map((vector, window) => ({ chunkId: id, documentId, sourceId, window, vector })),
  );
  await vectors.upsert(namespace, records, context.signal);
  const sources = [...new Set(batch.map(({ sourceId }) => sourceId))];
  const present = await Promise.all(sources.map((id) => tenant.documents.idsOf(id, ['building', 'searchable'])));
  const documents = new Set(present.flat());
  const gone = new Set(batch.map(({ documentId }) => documentId).filter((id) => !documents.has(id)));
  if (gone.size > 0) await vectors.deleteDocuments(namespace, [...gone]);
}

async function embedChunk(
  chunk: EmbeddableChunk,
  embeddings: FollowOptions['embeddings'],
  signal: AbortSignal,
): Promise<readonly Float32Array[]> {
  const texts = windowsOf({ ...chunk, title: chunk.documentTitle }, embeddings.profile.window);
  return (await embeddings.embed(texts, { purpose: 'document', signal, background: true })).vectors;
}
