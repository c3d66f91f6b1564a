import type { StageContext, StageResult } from '../../jobs/index.ts';
import type { Clock } from '../../kernel/index.ts';
import type { BotKey, ChunkVectors, EmbeddableChunk, Failure, Store, TenantRepositories } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import type { BotIndexes, TrainingIndex } from '../generations/ports.ts';
import { failureOfPages, fetchFailures } from '../web/page-failures.ts';
import { cutDocuments, type Rechunk } from './chunk-sets.ts';
import { batchSizeFor, type ChunkEmbeddings, recordsOf, vectorsOf } from './chunk-vectors.ts';
import { stagePriority } from './training-job.ts';
import {
  botOf,
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
  readonly indexes: Pick<BotIndexes, 'training'>;
  readonly rechunk: Rechunk;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteDocuments'>;
  readonly clock: Clock;
  /** Told of each bot whose content has changed. */
  readonly onTrained?: (bot: BotKey) => void;
}

/** What one run of the stage works with. */
interface Embedding extends Pick<EmbeddingOptions, 'vectors' | 'clock'> {
  readonly embeddings: ChunkEmbeddings;
}

/**
 * Gives vectors to every chunk of the source that has none in the generation: those of equal chunks that were embedded
 * earlier, else new ones. When all have theirs, the job's documents take the place of the earlier version in one
 * transaction. Run again, it goes on with what is missing.
 */
export function createEmbeddingStage(options: EmbeddingOptions): (context: StageContext) => Promise<StageResult> {
  return async (context) => {
    const index = await options.indexes.training(botOf(context.job));
    const work = workOf(context.job, options.store, index.key);
    const [owns, source] = await Promise.all([
      work.mode !== 'train' || hasDocuments(work),
      ownSource(work, work.tenant),
    ]);
    // Of a web source whose pages have not changed, everything is there already.
    const loaded = owns || source.stage === 'embedding';
    if (!loaded) return { type: 'next-stage', stage: 'loading', priority: stagePriority(work.job, 'loading') };
    if (work.mode === 'train' && source.stage !== 'embedding') await showAgain(work, context, options);
    const { tenant, botId, sourceId } = work;
    const { rechunk } = options;
    const isCut = await cutDocuments({ tenant, botId, sourceId, generation: index.generation, rechunk }, context);
    const embedding = { embeddings: index.embeddings, vectors: options.vectors, clock: options.clock };
    if (!isCut || (await embedAll(work, context, embedding)) === 'unfinished') return { type: 'yielded' };
    // Another generation answers than at the start of the run: what was embedded is not what it needs.
    if (work.mode === 'train' && !(await finish(work, context, { ...embedding, index }))) return { type: 'yielded' };
    options.onTrained?.(botOf(context.job));
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
  options: Embedding,
): Promise<'finished' | 'unfinished'> {
  const { tenant, sourceId } = work;
  const { generation } = options.embeddings;
  const size = batchSizeFor(options.embeddings);
  const { chunks: total, embedded } = await tenant.chunks.countOf(sourceId, generation);
  let done = embedded;
  context.progress(done, total);
  for (let after: string | undefined; ; ) {
    context.signal.throwIfAborted();
    const batch = await tenant.chunks.withoutVectors(sourceId, generation, { limit: size, after });
    if (batch.length === 0) return 'finished';
    after = batch.at(-1)?.id;
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

async function embedBatch(work: TrainingWork, context: StageContext, options: Embedding & Batch): Promise<void> {
  const { batch, embeddings, clock, progress } = options;
  const { chunks } = work.tenant;
  const { rows, reused } = await vectorsOf(batch, { chunks, embeddings, signal: context.signal });
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

/** Puts the batch into the vector index, and takes out again what was deleted from the store meanwhile. */
async function index(
  work: TrainingWork,
  { signal }: StageContext,
  { batch, rows, vectors }: Embedding & Batch & { readonly rows: readonly ChunkVectors[] },
): Promise<void> {
  await vectors.upsert(work.namespace, recordsOf(batch, rows), signal);
  const present = new Set(await work.tenant.documents.idsOf(work.sourceId, ['building', 'searchable']));
  const gone = new Set(batch.map((chunk) => chunk.documentId).filter((id) => !present.has(id)));
  if (gone.size > 0) await vectors.deleteDocuments(work.namespace, [...gone]);
}

/**
 * The job's documents take over: the earlier version goes, and the source is ready. False when another generation answers
 * by now, which the source is not complete in.
 */
async function finish(
  work: TrainingWork,
  { lease }: StageContext,
  { index, embeddings, clock, vectors }: Embedding & { readonly index: TrainingIndex },
): Promise<boolean> {
  const read = async (repositories: TenantRepositories) => {
    const { generations, chunks } = repositories;
    const [answering, found, counts] = await Promise.all([
      generations.active(work.botId),
      sourceWithHeads(work, repositories),
      chunks.countOf(work.sourceId, embeddings.generation),
    ]);
    return { answering, ...found, counts };
  };
  const replaced = await work.tenant.fencedTransactionOn(lease, read, async (repositories, seen) => {
    const { documents, chunks, sources } = repositories;
    const { answering, source, heads } = seen;
    if (answering !== null && answering.id !== index.answeringId) return null;
    const { usable, kept, tokens, refusals, others } = summarise(work, heads, source);
    const failures = source.web === undefined ? [] : await fetchFailures(work, repositories);
    const stale = idsOf(others);
    await documents.delete(stale);
    const [{ chunks: total }, unchanged] = await Promise.all([
      stale.length === 0 ? seen.counts : chunks.countOf(source.id, embeddings.generation),
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
  if (replaced === null) return false;
  if (replaced.length > 0) await vectors.deleteDocuments(work.namespace, replaced);
  return true;
}

function partialFailure([first, ...more]: readonly Failure[], files: number): Failure | null {
  if (first === undefined) return null;
  if (more.length === 0) return first;
  return {
    code: first.code,
    message: `${more.length + 1} of ${files} files could not be used. The first: ${first.message}`,
  };
}
