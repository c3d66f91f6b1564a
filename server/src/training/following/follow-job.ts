import type { IdMaker } from '../../kernel/index.ts';
import type { Job } from '../../store/index.ts';

export const FOLLOW_KIND = 'follow';
export const FOLLOW_STAGE = 'following';
/** Behind everything that makes content searchable. */
const PRIORITY = 60;
const DEADLINE_MS = 7 * 24 * 60 * 60 * 1_000;
const MAX_ATTEMPTS = 5;

/** A queued job that completes the bot's vectors in the following space. */
export function newFollowJob(
  botId: string,
  { createId, now }: { readonly createId: IdMaker; readonly now: number },
): Omit<Job, 'tenantId'> {
  return {
    id: createId('job'),
    botId,
    sourceId: null,
    kind: FOLLOW_KIND,
    state: 'queued',
    stage: FOLLOW_STAGE,
    priority: PRIORITY,
    progress: { done: 0, total: 0 },
    attempts: 0,
    maxAttempts: MAX_ATTEMPTS,
    lease: null,
    fencingToken: 0,
    lastError: null,
    cancelRequested: false,
    runAt: now,
    deadlineAt: now + DEADLINE_MS,
    payload: {},
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
  };
}
