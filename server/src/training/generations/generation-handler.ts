import type { JobHandler, StageContext, StageResult } from '../../jobs/index.ts';
import { AppError, type Clock, type IdMaker, type Logger, type Meter } from '../../kernel/index.ts';
import type { Bot, Failure, Generation, Job, Store } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { cutDocuments, type Rechunk } from '../pipeline/chunk-sets.ts';
import { batchSizeFor, recordsOf, vectorsOf } from '../pipeline/chunk-vectors.ts';
import { botOf } from '../pipeline/training-work.ts';
import { compareGenerations } from './compare-generations.ts';
import { GENERATION_KIND, type GenerationStage, generationIdOf } from './generation-job.ts';
import { change, type GenerationWork, next, workOf } from './generation-work.ts';
import type { BotIndex, BotIndexes, SearchIndex } from './ports.ts';
import { removeContent } from './remove-content.ts';
import { isComplete, swapTo } from './swap.ts';

export interface GenerationHandlerOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly indexes: Pick<BotIndexes, 'of'>;
  readonly rechunk: Rechunk;
  readonly search: SearchIndex;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteDocuments' | 'deleteNamespace'>;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
  readonly meter: Meter;
}

/**
 * The stages of an index generation: `chunking` (documents cut as it wants), `embedding` (vectors that are missing),
 * `comparing` (with the one that answers, then the swap); or `removing`. The first two also complete generations that
 * are done, when content was trained meanwhile.
 */
export function createGenerationHandler(options: GenerationHandlerOptions): JobHandler {
  const stage =
    (run: (work: GenerationWork, options: GenerationHandlerOptions) => Promise<StageResult>) =>
    async (context: StageContext): Promise<StageResult> => {
      const work = await workOf(context, options);
      return work === null ? { type: 'succeeded' } : run(work, options);
    };
  return {
    kind: GENERATION_KIND,
    firstStage: 'chunking',
    stages: {
      chunking: stage(cut),
      embedding: stage(embed),
      comparing: stage(compare),
      removing: stage(removeContent),
    } satisfies Record<GenerationStage, JobHandler['stages'][string]>,
    onFailed: (job, error) => settleFailure(job, error, options),
  };
}

async function cut(work: GenerationWork, options: GenerationHandlerOptions): Promise<StageResult> {
  const { tenant, botId, context } = work;
  const { state } = work.generation;
  const updatedAt = options.clock.now();
  // Failed or cancelled, and tried again.
  if (state.type === 'failed' || state.type === 'cancelled') {
    await change(work, ({ generations }, { id }) =>
      generations.update(id, { state: { type: 'building', at: updatedAt }, updatedAt }),
    );
  }
  const { rechunk } = options;
  const isDone = await cutDocuments({ tenant, botId, generation: work.generation, rechunk }, context);
  return isDone ? next('embedding') : { type: 'yielded' };
}

async function embed(work: GenerationWork, options: GenerationHandlerOptions): Promise<StageResult> {
  const { tenant, botId, context, namespace } = work;
  const index = await options.indexes.of(work.generation);
  const { chunks: total, embedded } = await tenant.chunks.countOfBot(botId, namespace.generation);
  let done = embedded;
  for (let last: string | undefined; ; ) {
    context.signal.throwIfAborted();
    context.progress(done, total);
    const batch = await tenant.chunks.withoutVectorsOfBot(botId, namespace.generation, batchSizeFor(index.embeddings));
    if (batch.length === 0) break;
    if (batch[0]?.id === last) throw new AppError('internal_error', 'Vectors that were stored are not found again.');
    last = batch[0]?.id;
    done += batch.length;
    await embedBatch(work, { ...options, index, batch, progress: { done, total: Math.max(done, total) } });
    if (context.sliceOver()) return { type: 'yielded' };
  }
  const state = await change(work, async ({ generations }, current) => {
    const progress = { done, total: Math.max(done, total) };
    await generations.update(current.id, { progress, updatedAt: options.clock.now() });
    return current.state.type;
  });
  return state === 'building' ? next('comparing') : { type: 'succeeded' };
}

interface Batch {
  readonly index: BotIndex;
  readonly batch: Parameters<typeof vectorsOf>[0];
  readonly progress: Generation['progress'];
}

async function embedBatch(work: GenerationWork, options: GenerationHandlerOptions & Batch): Promise<void> {
  const { context, tenant, namespace } = work;
  const { batch, index, progress, vectors } = options;
  const { signal } = context;
  const { rows } = await vectorsOf(batch, { chunks: tenant.chunks, embeddings: index.embeddings, signal });
  await change(work, async ({ chunks, generations }, { id }) => {
    await chunks.putVectors(namespace.generation, rows);
    await generations.update(id, { progress, updatedAt: options.clock.now() });
  });
  await vectors.upsert(namespace, recordsOf(batch, rows), signal);
  const documentIds = [...new Set(batch.map(({ documentId }) => documentId))];
  const present = new Set((await tenant.documents.getMany(documentIds)).map(({ id }) => id));
  const gone = documentIds.filter((id) => !present.has(id));
  if (gone.length > 0) await vectors.deleteDocuments(namespace, gone);
}

/** Compares the finished generation with the one that answers, and lets it take over if it may. */
async function compare(work: GenerationWork, options: GenerationHandlerOptions): Promise<StageResult> {
  const { tenant, botId, generation, context } = work;
  const [active, bot] = await Promise.all([tenant.generations.active(botId), tenant.bots.get(botId)]);
  if (bot === null) return { type: 'succeeded' };
  const comparison = active === null ? null : await compared(work, { ...options, bot, active });
  const { clock, createId, meter } = options;
  const now = clock.now();
  const outcome = await change(work, async (repositories, current) => {
    if (current.state.type !== 'building') return { type: 'left' as const };
    // Content that was trained meanwhile comes first.
    if (!(await isComplete(repositories, current))) return { type: 'behind' as const };
    if (comparison !== null) await repositories.generations.update(generation.id, { comparison, updatedAt: now });
    if (mayTakeOver(current, comparison)) {
      return { type: 'swapped' as const, jobs: await swapTo(repositories, current, { createId, now }) };
    }
    await repositories.generations.update(generation.id, { state: { type: 'ready', at: now }, updatedAt: now });
    return { type: 'waiting' as const };
  });
  if (outcome.type === 'behind') return next('chunking');
  if (outcome.type === 'left') return { type: 'succeeded' };
  meter.count('chatsphere_generation_builds_total', { outcome: outcome.type });
  if (outcome.type === 'swapped') {
    meter.count('chatsphere_generation_swaps_total', { kind: 'automatic' });
    meter.observe('chatsphere_generation_swap_duration_seconds', {}, (clock.now() - now) / 1000);
    options.logger.info({ bot: botId, generation: generation.id }, 'Another index generation answers from now on');
    for (const job of outcome.jobs) await options.announce(job);
  }
  context.signal.throwIfAborted();
  return { type: 'succeeded' };
}

async function compared(
  { generation, tenant, context }: GenerationWork,
  options: GenerationHandlerOptions & { readonly bot: Bot; readonly active: Generation },
): Promise<Generation['comparison']> {
  const { indexes, bot, active, search, clock, logger } = options;
  try {
    const [before, after] = await Promise.all([indexes.of(active), indexes.of(generation)]);
    return await compareGenerations({ tenant, bot, before, after, search, clock, signal: context.signal });
  } catch (error) {
    context.signal.throwIfAborted();
    logger.warn({ bot: bot.id, generation: generation.id, error }, 'Two generations could not be compared');
    return null;
  }
}

/** What could not be compared is not worse: the operator has asked for the change. */
function mayTakeOver({ policy }: Generation, comparison: Generation['comparison']): boolean {
  if (policy === 'manual') return false;
  return policy === 'when_ready' || comparison?.verdict !== 'worse';
}

/** The one that answers is not touched by a build that failed; what was made is kept, to go on from. */
async function settleFailure(job: Job, { code, message }: Failure, options: GenerationHandlerOptions): Promise<void> {
  const { store, clock, meter } = options;
  const { tenantId, botId } = botOf(job);
  const at = clock.now();
  const outcome = await store.forTenant(tenantId).transaction(async ({ generations, jobs }) => {
    const [generation, current] = await Promise.all([generations.get(botId, generationIdOf(job)), jobs.get(job.id)]);
    if (current?.state !== 'failed' && current?.state !== 'cancelled') return null;
    if (generation?.jobId !== job.id || generation.state.type !== 'building') return null;
    const state =
      current.state === 'cancelled'
        ? { type: 'cancelled' as const, at }
        : { type: 'failed' as const, at, error: { code, message } };
    await generations.update(generation.id, { state, updatedAt: at });
    return state.type;
  });
  if (outcome !== null) meter.count('chatsphere_generation_builds_total', { outcome });
}
