import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import type { JobHandler } from '../../jobs/index.ts';
import type { Clock, Logger } from '../../kernel/index.ts';
import type { BlobStore, Failure, Job, Store } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import type { DocumentParser } from '../ports.ts';
import { createEmbeddingStage } from './embedding-stage.ts';
import { createLoadingStage } from './loading-stage.ts';
import { TRAINING_KIND } from './training-job.ts';
import { documentHeads, hasEarlierVersion, idsOf, summarise, workOf } from './training-work.ts';

export interface TrainingHandlerOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'pathOf'>;
  readonly parser: Pick<DocumentParser, 'parse'>;
  readonly embeddings: Pick<EmbeddingGenerator, 'profile' | 'generation' | 'embed'>;
  readonly vectors: Pick<VectorStore, 'upsert' | 'deleteDocuments'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const NO_COUNTS = { documents: 0, chunks: 0, tokens: 0, reused: 0 };

/** The stages of training: `loading` (content to searchable chunks), then `embedding` (chunks to vectors, then swap). */
export function createTrainingHandler(options: TrainingHandlerOptions): JobHandler {
  const { generation } = options.embeddings;
  return {
    kind: TRAINING_KIND,
    firstStage: 'loading',
    stages: {
      loading: createLoadingStage({ ...options, generation }),
      embedding: createEmbeddingStage(options),
    },
    onFailed: (job, error) => settleFailure(job, error, options),
  };
}

/**
 * A source is never left half-trained: what the failed job has made goes. An earlier version keeps answering; without
 * one, only the refused documents stay, to say which input was at fault.
 */
async function settleFailure(
  job: Job,
  { code, message }: Failure,
  { store, vectors, clock, embeddings }: TrainingHandlerOptions,
): Promise<void> {
  const work = workOf(job, store, embeddings.generation);
  const removed = await work.tenant.transaction(async ({ sources, documents, jobs }) => {
    const [source, current] = await Promise.all([sources.get(work.botId, work.sourceId), jobs.get(job.id)]);
    // Told late, after somebody has tried the job again: what it makes now is not a failed job's.
    if (current?.state !== 'failed' && current?.state !== 'cancelled') return [];
    const failure = { lastError: { code, message }, updatedAt: clock.now() };
    if (source === null || source.jobId !== job.id) return [];
    if (work.mode === 'reembed') {
      await sources.update(source.id, failure);
      return [];
    }
    if (source.status !== 'queued' && source.status !== 'processing') return [];
    const heads = await documentHeads(work, { documents });
    const hasEarlier = hasEarlierVersion(summarise(work, heads));
    const unfinished = heads.filter((head) => head.state === 'building' || work.ids.ownsDocument(head.id));
    // Without an earlier version the refused documents stay, to say which input was at fault.
    const gone = idsOf(unfinished.filter((head) => head.state !== 'refused' || hasEarlier));
    await documents.delete(gone);
    const counts = hasEarlier ? source.counts : NO_COUNTS;
    await sources.update(source.id, { ...failure, status: 'failed', stage: null, counts });
    return gone;
  });
  if (removed.length > 0) await vectors.deleteDocuments(work.namespace, removed);
}
