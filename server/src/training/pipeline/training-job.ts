import { createHash } from 'node:crypto';
import type { IdMaker, JsonObject } from '../../kernel/index.ts';
import type { Job, Source, TrainingStage } from '../../store/index.ts';

export const TRAINING_KIND = 'train';

/** Loading passes embedding: content is found by words as early as possible. */
export const STAGE_PRIORITIES: Readonly<Record<TrainingStage, number>> = { loading: 10, embedding: 20 };

/** What a training job is for. `reembed`: only vectors of another generation are missing, the documents stay. */
export type TrainingMode = 'train' | 'reembed';

export interface NewJobOptions {
  readonly createId: IdMaker;
  readonly now: number;
  readonly deadlineMs: number;
  readonly maxAttempts: number;
}

/** A queued job that trains the source. */
export function newTrainingJob(
  source: Pick<Source, 'id' | 'botId'>,
  mode: TrainingMode,
  { createId, now, deadlineMs, maxAttempts }: NewJobOptions,
): Omit<Job, 'tenantId'> {
  const stage: TrainingStage = mode === 'train' ? 'loading' : 'embedding';
  return {
    id: createId('job'),
    botId: source.botId,
    sourceId: source.id,
    kind: TRAINING_KIND,
    state: 'queued',
    stage,
    priority: STAGE_PRIORITIES[stage],
    progress: { done: 0, total: 0 },
    attempts: 0,
    maxAttempts,
    lease: null,
    fencingToken: 0,
    lastError: null,
    cancelRequested: false,
    runAt: now,
    deadlineAt: now + deadlineMs,
    payload: { mode } satisfies JsonObject,
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
  };
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
