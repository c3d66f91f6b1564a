import { createHash } from 'node:crypto';
import type { IdMaker, JsonObject } from '../../kernel/index.ts';
import type { Job, Source, TrainingStage } from '../../store/index.ts';

export const TRAINING_KIND = 'train';

/**
 * How urgent a source is: small ones pass what takes long, and what is found by words already comes last. Set when the job
 * is made.
 */
export type TrainingUrgency = 'interactive' | 'normal' | 'bulk' | 'background';

/**
 * Loading passes embedding: content is found by words as early as possible. A point is worth six seconds of waiting, so
 * what takes long waits for at most a few minutes longer than the rest.
 */
const STAGE_PRIORITIES: Readonly<Record<TrainingUrgency, Readonly<Record<TrainingStage, number>>>> = {
  interactive: { fetching: 8, loading: 5, embedding: 15 },
  normal: { fetching: 15, loading: 10, embedding: 20 },
  bulk: { fetching: 35, loading: 30, embedding: 40 },
  background: { fetching: 55, loading: 50, embedding: 60 },
};

const SMALL = { bytes: 1024 ** 2, inputs: 20 };
const LARGE = { bytes: 20 * 1024 ** 2, inputs: 500 };

/** What a training job is for. `reembed`: only vectors of another generation are missing, the documents stay. */
export type TrainingMode = 'train' | 'reembed';

export interface NewJobOptions {
  readonly createId: IdMaker;
  readonly now: number;
  readonly deadlineMs: number;
  readonly maxAttempts: number;
}

/** The priority of a stage of the job. */
export function stagePriority({ payload }: Pick<Job, 'payload'>, stage: TrainingStage): number {
  const urgency = Object.keys(STAGE_PRIORITIES).find((known) => known === payload['urgency']) ?? 'normal';
  return STAGE_PRIORITIES[urgency as TrainingUrgency][stage];
}

function urgencyOf({ type, inputs }: Partial<Pick<Source, 'type' | 'inputs'>>, mode: TrainingMode): TrainingUrgency {
  if (mode === 'reembed') return 'background';
  if (type === 'crawl' || type === 'sitemap') return 'bulk';
  if (inputs === undefined) return 'normal';
  const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0);
  if (bytes > LARGE.bytes || inputs.length > LARGE.inputs) return 'bulk';
  return bytes <= SMALL.bytes && inputs.length <= SMALL.inputs ? 'interactive' : 'normal';
}

/** A queued job that trains the source. */
export function newTrainingJob(
  source: Pick<Source, 'id' | 'botId' | 'web'> & Partial<Pick<Source, 'type' | 'inputs'>>,
  mode: TrainingMode,
  { createId, now, deadlineMs, maxAttempts }: NewJobOptions,
): Omit<Job, 'tenantId'> {
  const stage = mode === 'train' ? firstStageOf(source) : 'embedding';
  const payload = { mode, urgency: urgencyOf(source, mode) } satisfies JsonObject;
  return {
    id: createId('job'),
    botId: source.botId,
    sourceId: source.id,
    kind: TRAINING_KIND,
    state: 'queued',
    stage,
    priority: stagePriority({ payload }, stage),
    progress: { done: 0, total: 0 },
    attempts: 0,
    maxAttempts,
    lease: null,
    fencingToken: 0,
    lastError: null,
    cancelRequested: false,
    runAt: now,
    deadlineAt: now + deadlineMs,
    payload,
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
  };
}

/** What comes from the web is fetched first. */
export function firstStageOf({ web }: Pick<Source, 'web'>): TrainingStage {
  return web === undefined ? 'loading' : 'fetching';
}

export function modeOf(job: Job): TrainingMode {
  return job.payload['mode'] === 'reembed' ? 'reembed' : 'train';
}

/**
 * Ids of a job's documents and chunks are derived from it: a stage that runs again after a crash writes the same rows,
 * and a source's documents can be told by the job that made them. They keep the time part, so they sort like other ids.
 */
export interface TrainingIds {
  ownsDocument(documentId: string): boolean;
  /** `input`: position of the input; `part`: of the document within it. */
  document(input: number, part: number): string;
  /** Equal for documents of the same input. */
  inputOf(documentId: string): string;
  chunk(documentId: string, position: number): string;
}

const TIME_LENGTH = 10;
/** Digits to the base of 32: a million inputs of a million documents. */
const INPUT_LENGTH = 4;
const PART_LENGTH = 4;

export function trainingIds(jobId: string): TrainingIds {
  const time = jobId.slice('job_'.length, 'job_'.length + TIME_LENGTH);
  const prefix = `doc_${time}${digest(jobId, 8)}`;
  return {
    ownsDocument: (documentId) => documentId.startsWith(prefix),
    document: (input, part) => `${prefix}${base32(input, INPUT_LENGTH)}${base32(part, PART_LENGTH)}`,
    inputOf: (documentId) => documentId.slice(prefix.length, -PART_LENGTH),
    chunk: (documentId, position) => `chk_${time}${digest(`${documentId}:${position}`, 16)}`,
  };
}

function base32(number: number, length: number): string {
  return number.toString(32).padStart(length, '0');
}

/** Hexadecimal, which is a part of the alphabet of ids. */
function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
