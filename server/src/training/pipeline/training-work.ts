import { AppError } from '../../kernel/index.ts';
import {
  type BotKey,
  type Document,
  everyItem,
  type Failure,
  type Job,
  type JobLease,
  type Source,
  type SourceInput,
  type Store,
  type TenantRepositories,
  type TenantStore,
} from '../../store/index.ts';
import type { Namespace } from '../../vector-store/index.ts';
import { modeOf, type TrainingIds, type TrainingMode, trainingIds } from './training-job.ts';

/** What a job works on. */
export interface SourceOfJob {
  readonly job: Job;
  readonly sourceId: string;
  readonly botId: string;
}

/** One job's work on its source, whichever stage it is in. */
export interface TrainingWork extends SourceOfJob {
  readonly mode: TrainingMode;
  readonly ids: TrainingIds;
  readonly namespace: Namespace;
  readonly tenant: TenantStore;
}

/** @throws AppError `internal_error` when the job names no bot. */
export function botOf({ tenantId, botId }: Job): BotKey {
  if (botId === null) throw new AppError('internal_error', 'A training job names no bot.');
  return { tenantId, botId };
}

/** @throws AppError `internal_error` when the job names no bot or no source. */
export function sourceOf(job: Job): SourceOfJob {
  const { botId } = botOf(job);
  const { sourceId } = job;
  if (sourceId === null) throw new AppError('internal_error', 'A training job names no source.');
  return { job, sourceId, botId };
}

/**
 * `generation` is the key of the index that the job completes.
 *
 * @throws AppError `internal_error` when the job names no bot or no source.
 */
export function workOf(job: Job, store: Pick<Store, 'forTenant'>, generation: string): TrainingWork {
  const { tenantId } = job;
  const { sourceId, botId } = sourceOf(job);
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
  return work.tenant.fencedTransactionOn(lease, (repositories) => ownSource(work, repositories), change);
}

/** The job's source. Rejects with `job_cancelled` when it is no longer the job's. */
export async function ownSource(work: SourceOfJob, repositories: Pick<TenantRepositories, 'sources'>): Promise<Source> {
  const source = await repositories.sources.get(work.botId, work.sourceId);
  if (source?.jobId === work.job.id) return source;
  throw new AppError('job_cancelled', 'The source was deleted, or is trained by a newer job.');
}

/** A document without its text. */
export type DocumentHead = Omit<Document, 'text'>;

/** Every document of the job's source, in order. */
export async function documentHeads(
  { sourceId }: SourceOfJob,
  { documents }: Pick<TenantRepositories, 'documents'>,
): Promise<readonly DocumentHead[]> {
  const heads: DocumentHead[] = [];
  for await (const head of everyItem((page) => documents.list(sourceId, page))) heads.push(head);
  return heads;
}

/** The job's source as `ownSource` finds it, with every document of it. */
export async function sourceWithHeads(
  work: SourceOfJob,
  repositories: Pick<TenantRepositories, 'sources' | 'documents'>,
): Promise<{ readonly source: Source; readonly heads: readonly DocumentHead[] }> {
  const [source, heads] = await Promise.all([ownSource(work, repositories), documentHeads(work, repositories)]);
  return { source, heads };
}

/** What a training job has made of its source, and what is there besides. */
export interface DocumentSummary {
  /** Ids of the job's documents that can be used. */
  readonly usable: readonly string[];
  /** Ids of earlier documents of web pages that have not changed: they stay as they are. */
  readonly kept: readonly string[];
  /** Of the usable and the kept ones. */
  readonly tokens: number;
  /** Why inputs of the job could not be used, in their order. */
  readonly refusals: readonly Failure[];
  /** Documents of other jobs that do not stay. */
  readonly others: readonly DocumentHead[];
}

export function summarise(
  { ids }: TrainingWork,
  heads: readonly DocumentHead[],
  { inputs }: Pick<Source, 'inputs'>,
): DocumentSummary {
  const own = heads.filter((head) => ids.ownsDocument(head.id));
  const usable = own.filter((head) => head.state !== 'refused');
  const unchanged = new Set(inputs.flatMap((input) => (input.url === undefined ? [] : [pageKey(input)])));
  const earlier = heads.filter((head) => !ids.ownsDocument(head.id));
  const stays = ({ url, trainedAs, state }: DocumentHead): boolean =>
    state === 'searchable' && url !== null && !!trainedAs && unchanged.has(pageKey({ url, trainedAs }));
  const kept = earlier.filter(stays);
  return {
    usable: idsOf(usable),
    kept: idsOf(kept),
    tokens: [...usable, ...kept].reduce((sum, head) => sum + head.tokens, 0),
    refusals: own.flatMap(({ state, lastError }) => (state === 'refused' && lastError !== null ? [lastError] : [])),
    others: earlier.filter((head) => !stays(head)),
  };
}

/** Inputs whose documents stay as they are, by position. */
export function keptInputs({ inputs }: Pick<Source, 'inputs'>, heads: readonly DocumentHead[]): ReadonlySet<number> {
  const kept = new Set(
    heads.flatMap(({ url, trainedAs }) => (url === null || !trainedAs ? [] : [pageKey({ url, trainedAs })])),
  );
  return new Set(inputs.flatMap((input, position) => (kept.has(pageKey(input)) ? [position] : [])));
}

function pageKey({ url = '', trainedAs = '' }: Pick<SourceInput, 'url' | 'trainedAs'>): string {
  return `${trainedAs} ${url}`;
}

/** Whether an earlier version of the source is answering. */
export function hasEarlierVersion({ others, kept }: DocumentSummary): boolean {
  return kept.length > 0 || others.some((head) => head.state === 'searchable');
}

export function idsOf(heads: readonly DocumentHead[]): readonly string[] {
  return heads.map((head) => head.id);
}
