import { AppError } from '../kernel/index.ts';
import type { Failure, Job, JobLease, Source, Store, TenantRepositories, TenantStore } from '../store/index.ts';
import type { Namespace } from '../vector-store/index.ts';
import { modeOf, type TrainingIds, type TrainingMode, trainingIds } from './training-job.ts';

/** One job's work on its source, whichever stage it is in. */
export interface TrainingWork {
  readonly job: Job;
  readonly mode: TrainingMode;
  readonly sourceId: string;
  readonly botId: string;
  readonly ids: TrainingIds;
  readonly namespace: Namespace;
  readonly tenant: TenantStore;
}

/** @throws AppError `internal_error` when the job names no source. */
export function workOf(job: Job, store: Pick<Store, 'forTenant'>, generation: string): TrainingWork {
  const { tenantId, sourceId, botId } = job;
  if (sourceId === null || botId === null) throw new AppError('internal_error', 'A training job names no source.');
  return {
    job,
    mode: modeOf(job),
    sourceId,
    botId,
    ids: trainingIds(job.id),
    namespace: { tenantId, botId, generation },
    tenant: store.forTenant(tenantId),
  };
}

/**
 * A fenced transaction on the job's source.
 *
 * @throws AppError `job_lease_lost` when the lease is gone; `job_cancelled` when the source was deleted or a newer job
 *   has taken it over. Nothing is changed then.
 */
export function changeSource<Result>(
  work: TrainingWork,
  lease: JobLease,
  change: (repositories: TenantRepositories, source: Source) => Promise<Result>,
): Promise<Result> {
  return work.tenant.fencedTransaction(lease, async (repositories) =>
    change(repositories, await ownSource(work, repositories)),
  );
}

/** The job's source. Rejects with `job_cancelled` when it is no longer the job's. */
export async function ownSource(
  work: TrainingWork,
  repositories: Pick<TenantRepositories, 'sources'>,
): Promise<Source> {
  const source = await repositories.sources.get(work.botId, work.sourceId);
  if (source?.jobId === work.job.id) return source;
  throw new AppError('job_cancelled', 'The source was deleted, or is trained by a newer job.');
}

/** What the job has made of its source so far. */
export interface TrainingSummary {
  readonly documents: number;
  readonly tokens: number;
  /** Why inputs could not be used, in their order. */
  readonly refusals: readonly Failure[];
}

const PAGE_LENGTH = 100;

/** Reads the job's documents, page by page and without their text. */
export async function summarise(
  work: TrainingWork,
  repositories: Pick<TenantRepositories, 'documents'>,
): Promise<TrainingSummary> {
  let [documents, tokens] = [0, 0];
  const refusals: Failure[] = [];
  for (let after: string | undefined, more = true; more; ) {
    const page = await repositories.documents.list(work.sourceId, {
      limit: PAGE_LENGTH,
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    });
    for (const document of page.items) {
      if (work.mode === 'train' && !work.ids.ownsDocument(document.id)) continue;
      if (document.state !== 'refused') documents += 1;
      else if (document.lastError !== null) refusals.push(document.lastError);
      tokens += document.tokens;
    }
    after = page.items.at(-1)?.id;
    more = page.hasMore;
  }
  return { documents, tokens, refusals };
}
