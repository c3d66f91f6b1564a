import type { Clock, IdMaker, JsonObject } from '../../kernel/index.ts';
import type { ChunkingStrategy, Job, Source, TenantRepositories } from '../../store/index.ts';
import type { StoredContent } from './source-inputs.ts';
import { firstStageOf, newTrainingJob } from './training-job.ts';

export interface JobLimits {
  /** A job that has not ended by then fails. */
  readonly jobDeadlineMs: number;
  readonly maxAttempts: number;
}

const DEADLINE_A_PAGE_MS = 10_000;

export const JOB_LIMITS: JobLimits = { jobDeadlineMs: 6 * 60 * 60 * 1_000, maxAttempts: 5 };

export interface JobMakerOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly createId: IdMaker;
  readonly limits?: Partial<JobLimits>;
}

/** A queued job that trains the source. */
export function trainingJobFor(
  source: Pick<Source, 'id' | 'botId' | 'web'> & Partial<Pick<Source, 'type' | 'inputs'>>,
  { clock, createId, limits }: JobMakerOptions,
): Omit<Job, 'tenantId'> {
  const { jobDeadlineMs, maxAttempts } = { ...JOB_LIMITS, ...limits };
  // A site may want long pauses between its pages.
  const deadlineMs = jobDeadlineMs + (source.web?.maxPages ?? 0) * DEADLINE_A_PAGE_MS;
  return newTrainingJob(source, 'train', { createId, now: clock.now(), deadlineMs, maxAttempts });
}

export type SourceChanges = Partial<
  StoredContent & { readonly metadata: JsonObject; readonly chunking: ChunkingStrategy | null }
>;

/** Queues a source again within a transaction. A job that still works on it is cancelled; its late writes are refused by the fence. */
export function createTrainAgain(
  options: JobMakerOptions,
): (repositories: TenantRepositories, source: Source, changes?: SourceChanges) => Promise<Source> {
  return async (repositories, source, changes = {}) => {
    const now = options.clock.now();
    const { web: former, ...rest } = source;
    const web = changes.web === undefined ? former : (changes.web ?? undefined);
    const kept = {
      ...rest,
      ...(web === undefined ? {} : { web: { ...web, lastSyncedAt: former?.lastSyncedAt ?? null } }),
    };
    // The inputs of a web source are found by fetching; until then the former ones stay.
    const { inputs = source.inputs } = web === undefined ? changes : {};
    const job = trainingJobFor(kept, options);
    if (source.jobId !== null) await repositories.jobs.requestCancel(source.jobId, now);
    const { web: _, ...given } = changes;
    const update = {
      ...given,
      inputs,
      status: 'queued',
      stage: firstStageOf(kept),
      progress: { done: 0, total: web === undefined ? inputs.length : 0 },
      lastError: null,
      jobId: job.id,
      updatedAt: now,
    } as const;
    await repositories.sources.update(source.id, {
      ...update,
      ...(changes.web === undefined ? {} : { web: kept.web ?? null }),
    });
    if (web === undefined && former !== undefined) await repositories.pages.forgetOthers(source.id, job.id);
    await repositories.jobs.create(job);
    return { ...kept, ...update };
  };
}
