import type { IdMaker } from '../../kernel/index.ts';
import type { Generation, Job } from '../../store/index.ts';

export const GENERATION_KIND = 'generation';

export type GenerationStage = 'chunking' | 'embedding' | 'comparing' | 'removing';

/** Behind all training: a change of the index is never urgent, for the one before answers. */
export const GENERATION_PRIORITY = 60;

const DEADLINE_MS = 7 * 24 * 60 * 60 * 1_000;
const ATTEMPTS = 8;

/** A queued job that completes a generation (`chunking`) or removes it (`removing`). */
export function newGenerationJob(
  generation: Pick<Generation, 'id' | 'botId'>,
  stage: Extract<GenerationStage, 'chunking' | 'removing'>,
  { createId, now }: { readonly createId: IdMaker; readonly now: number },
): Omit<Job, 'tenantId'> {
  return {
    id: createId('job'),
    botId: generation.botId,
    sourceId: null,
    kind: GENERATION_KIND,
    state: 'queued',
    stage,
    priority: GENERATION_PRIORITY,
    progress: { done: 0, total: 0 },
    attempts: 0,
    maxAttempts: ATTEMPTS,
    lease: null,
    fencingToken: 0,
    lastError: null,
    cancelRequested: false,
    runAt: now,
    deadlineAt: now + DEADLINE_MS,
    payload: { generation_id: generation.id },
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
  };
}

export function generationIdOf({ payload }: Pick<Job, 'payload'>): string {
  return String(payload['generation_id']);
}
