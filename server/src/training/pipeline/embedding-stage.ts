import { type EmbeddingGenerator, windowsOf } from '../../embeddings/index.ts';
import type { StageContext, StageResult } from '../../jobs/index.ts';
import { AppError, type Clock } from '../../kernel/index.ts';
import type { ChunkVectors, EmbeddableChunk, Failure, Store } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { failureOfPages, fetchFailures } from '../web/page-failures.ts';
import { stagePriority } from './training-job.ts';
import {
  changeSource,
  hasEarlierVersion,
  idsOf,
  ownSource,
  sourceWithHeads,
  summarise,
  type TrainingWork,
  workOf,
} from './training-work.ts';

export interface EmbeddingOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly embeddings: Pick<EmbeddingGenerator, 'profile' | 'generation' | 'embed'>;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteDocuments'>;
  readonly clock: Clock;
}

/** Chunks whose vectors are written together: as many as the embedder takes at once, within reason. */
const SMALLEST_BATCH = 32;
const LARGEST_BATCH = 256;

/**
 * Gives vectors to every chunk of the source that has none in the generation: those of equal chunks that were embedded
 * earlier, else new ones. When all have theirs, the job's documents take the place of the earlier version in one
 * transaction. Run again, it goes on with what is missing.
 */
export function createEmbeddingStage(options: EmbeddingOptions): (context: StageContext) => Promise<StageResult> {
  return async (context) => {
    const work = workOf(context.job, options.store, options.embeddings.generation);
    const [owns, source] = await Promise.all([
      work.mode !== 'train' || hasDocuments(work),
      ownSource(work, work.tenant),
    ]);
    // Of a web source whose pages have not changed, everything is there already.
    const loaded = owns || source.stage === 'embedding';
    if (!loaded) return { type: 'next-stage', stage: 'loading', priority: stagePriority(work.job, 'loading') };
    if (work.mode === 'train' && source.stage !== 'embedding') await showAgain(work, context, options);
    if ((await embedAll(work, context, options)) === 'unfinished') return { type: 'yielded' };
    if (work.mode === 'train') await finish(work, context, options);
    return { type: 'succeeded' };
  };
}

/** What a failed job has made may have been cleared away; tried again, it starts from its inputs then. */
async function hasDocuments({ tenant, sourceId, ids }: TrainingWork): Promise<boolean> {
  return (await tenant.documents.idsOf(sourceId, ['building', 'searchable'])).some(ids.ownsDocument);
}

/** A job that is tried again goes on where it failed: what it had loaded is found by words again. */
function showAgain(work: TrainingWork, { lease }: StageContext, { clock }: EmbeddingOptions): Promise<void> {
  return work.tenant.fencedTransaction(lease, async (repositories) => {
    const { source, heads } = await sourceWithHeads(work, repositories);
    const summary = summarise(work, heads, source);
    if (!hasEarlierVersion(summary)) await repositories.documents.setState(summary.usable, 'searchable');
    const updatedAt = clock.now();
    await repositories.sources.update(source.id, {
      status: 'processing',
      stage: 'embedding',
      lastError: null,
      updatedAt,
    });
  });
}

async function embedAll(
  work: TrainingWork,
  context: StageContext,
  options: EmbeddingOptions,
): Promise<'finished' | 'unfinished'> {
  const { tenant, sourceId } = work;
  const { profile, generation } = options.embeddings;
  const size = Math.min(LARGEST_BATCH, Math.max(SMALLEST_BATCH, profile.maxTextsPerCall));
  const { chunks: total, embedded } = await tenant.chunks.countOf(sourceId, generation);
  let done = embedded;
  context.progress(done, total);
  for (let last: string | undefined; ; ) {
    context.signal.throwIfAborted();
    const batch = await tenant.chunks.withoutVectors(sourceId, generation, size);
    if (batch.length === 0) return 'finished';
    if (batch[0]?.id === last) throw new AppError('internal_error', 'Vectors that were stored are not found again.');
    last = batch[0]?.id;
    done += batch.length;
    await embedBatch(work, context, { ...options, batch, progress: { done, total } });
    context.progress(done, total);
    if (batch.length < size) return 'finished';
    if (context.sliceOver()) return 'unfinished';
  }
}

interface Batch {
  readonly batch: readonly EmbeddableChunk[];
  readonly progress: { readonly done: number; readonly total: number };
}

async function embedBatch(work: TrainingWork, context: StageContext, options: EmbeddingOptions & Batch): Promise<void> {
  const { batch, embeddings, clock, progress } = options;
  const hashes = batch.map((chunk) => chunk.hash);
  const known = await work.tenant.chunks.findVectors(embeddings.generation, hashes);
  const embedded = await embedChunks(
    batch.filter(({ hash }) => !known.has(hash)),
    embeddings,
    context.signal,
  );
  const rows = batch.map(
    ({ id, hash }): ChunkVectors => ({ chunkId: id, windows: known.get(hash) ?? embedded.get(hash) ?? [] }),
  );
  const reused = hashes.filter((hash) => known.has(hash)).length;
  await changeSource(work, context.lease, async (repositories, source) => {
    const counts = { ...source.counts, reused: source.counts.reused + reused };
    const updatedAt = clock.now();
    await Promise.all([
      repositories.chunks.putVectors(embeddings.generation, rows),
      repositories.sources.update(source.id, work.mode === 'train' ? { progress, counts, updatedAt } : { updatedAt }),
    ]);
  });
  await index(work, context, { ...options, rows });
}

/** Vectors by hash, those of a chunk's windows together. Equal chunks are embedded once. */
async function embedChunks(
  chunks: readonly EmbeddableChunk[],
  embeddings: EmbeddingOptions['embeddings'],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Float32Array[]>> {
  const texts: string[] = [];
  const ranges = new Map<string, { readonly start: number; readonly end: number }>();
  for (const chunk of chunks) {
    if (ranges.has(chunk.hash)) continue;
    const start = texts.length;
    texts.push(...windowsOf({ ...chunk, title: chunk.documentTitle }, embeddings.profile.window));
    ranges.set(chunk.hash, { start, end: texts.length });
  }
  if (texts.length === 0) return new Map();
  const { vectors } = await embeddings.embed(texts, { purpose: 'document', signal });
  return new Map([...ranges].map(([hash, { start, end }]) => [hash, vectors.slice(start, end)]));
}

/** Puts the batch into the vector index, and takes out again what was deleted from the store meanwhile. */
async function index(
  work: TrainingWork,
  { signal }: StageContext,
  { batch, rows, vectors }: EmbeddingOptions & Batch & { readonly rows: readonly ChunkVectors[] },
): Promise<void> {
  const records = batch.flatMap(({ id, documentId, sourceId }, position) =>
    (rows[position]?.windows ?? []).map((vector, window) => ({ chunkId: id, documentId, sourceId, window, vector })),
  );
  await vectors.upsert(work.namespace, records, signal);
  const present = new Set(await work.tenant.documents.idsOf(work.sourceId, ['building', 'searchable']));
  const gone = new Set(batch.map((chunk) => chunk.documentId).filter((id) => !present.has(id)));
  if (gone.size > 0) await vectors.deleteDocuments(work.namespace, [...gone]);
}

/** The job's documents take over: the earlier version goes, and the source is ready. */
async function finish(work: TrainingWork, { lease }: StageContext, options: EmbeddingOptions): Promise<void> {
  const { embeddings, clock, vectors } = options;
  const replaced = await work.tenant.fencedTransaction(lease, async (repositories) => {
    const { documents, chunks, sources } = repositories;
    const { source, heads } = await sourceWithHeads(work, repositories);
    const { usable, kept, tokens, refusals, others } = summarise(work, heads, source);
    const failures = source.web === undefined ? [] : await fetchFailures(work, repositories);
    const stale = idsOf(others);
    await documents.delete(stale);
    const [{ chunks: total }, unchanged] = await Promise.all([
      chunks.countOf(source.id, embeddings.generation),
      kept.length === 0 ? 0 : chunks.countOfDocuments(kept),
    ]);
    const inUse = usable.length + kept.length;
    await Promise.all([
      documents.setState(usable, 'searchable'),
      sources.update(source.id, {
        status: refusals.length + failures.length === 0 ? 'ready' : 'partial',
        stage: null,
        progress: { done: total, total },
        counts: { documents: inUse, chunks: total, tokens, reused: source.counts.reused + unchanged },
        lastError: partialFailure(refusals, inUse + refusals.length) ?? failureOfPages(failures),
        updatedAt: clock.now(),
      }),
    ]);
    return stale;
  });
  if (replaced.length > 0) await vectors.deleteDocuments(work.namespace, replaced);
}

function partialFailure([first, ...more]: readonly Failure[], files: number): Failure | null {
  if (first === undefined) return null;
  if (more.length === 0) return first;
  return {
    code: first.code,
    message: `${more.length + 1} of ${files} files could not be used. The first: ${first.message}`,
  };
}
