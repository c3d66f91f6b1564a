import type { JobHandler } from '../../jobs/index.ts';
import type { Clock, Logger } from '../../kernel/index.ts';
import type { BlobStore, BotKey, Failure, Job, Store } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import type { BotIndexes } from '../generations/ports.ts';
import type { DocumentParser } from '../ports.ts';
import { createFetchingStage } from '../web/fetching-stage.ts';
import type { FetchingParts } from '../web/page-visit.ts';
import type { Rechunk } from './chunk-sets.ts';
import { createEmbeddingStage } from './embedding-stage.ts';
import { createLoadingStage } from './loading-stage.ts';
import { TRAINING_KIND } from './training-job.ts';
import { botOf, documentHeads, hasEarlierVersion, summarise, workOf } from './training-work.ts';

export interface TrainingHandlerOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'localPath' | 'put'>;
  readonly web: FetchingParts;
  readonly parser: Pick<DocumentParser, 'parse'>;
  readonly indexes: Pick<BotIndexes, 'training' | 'keys'>;
  readonly rechunk: Rechunk;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteDocuments'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each bot whose content has changed. */
  readonly onTrained?: (bot: BotKey) => void;
}

const NO_COUNTS = { documents: 0, chunks: 0, tokens: 0, reused: 0 };

/**
 * The stages of training: for web sources `fetching` (pages to stored bytes); `loading` (content to searchable chunks);
 * then `embedding` (chunks to vectors, then swap).
 */
export function createTrainingHandler(options: TrainingHandlerOptions): JobHandler {
  return {
    kind: TRAINING_KIND,
    firstStage: 'loading',
    stages: {
      fetching: createFetchingStage(options),
      loading: createLoadingStage(options),
      embedding: createEmbeddingStage(options),
    },
    onFailed: (job, error) => settleFailure(job, error, options),
  };
}

/**
 * A source is never served half-trained: what the failed job has made goes out of sight, and is kept for another try at
 * the same stage; a newer job or housekeeping removes it. An earlier version keeps answering.
 */
async function settleFailure(
  job: Job,
  { code, message }: Failure,
  { store, clock, indexes }: TrainingHandlerOptions,
): Promise<void> {
  const { key } = await indexes.training(botOf(job));
  const work = workOf(job, store, key);
  await work.tenant.transaction(async ({ sources, documents, jobs }) => {
    const [source, current] = await Promise.all([sources.get(work.botId, work.sourceId), jobs.get(job.id)]);
    // Told late, after somebody has tried the job again: what it makes now is not a failed job's.
    if (current?.state !== 'failed' && current?.state !== 'cancelled') return;
    if (source === null || source.jobId !== job.id) return;
    const failure = { lastError: { code, message }, updatedAt: clock.now() };
    if (work.mode === 'reembed') return sources.update(source.id, failure);
    if (source.status !== 'queued' && source.status !== 'processing') return;
    const summary = summarise(work, await documentHeads(work, { documents }), source);
    await documents.setState(summary.usable, 'building');
    const counts = hasEarlierVersion(summary) ? source.counts : NO_COUNTS;
    await sources.update(source.id, { ...failure, status: 'failed', stage: null, counts });
  });
}
