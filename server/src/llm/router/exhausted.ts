import { AppError } from '../../kernel/index.ts';
import type { AnswerRun, Failure, RunParts } from './answer-run.ts';
import { type Candidate, circuitOf } from './model-target.ts';

const LEAST_RETRY_AFTER_MS = 1000;

/**
 * The error of an answer that no model could give: the last one of the first model that was asked, or
 * `provider_unavailable` when none could be, with the time after which asking again makes sense.
 */
export function exhaustedError(parts: RunParts, run: AnswerRun, candidates: readonly Candidate[]): AppError {
  const { failures } = run;
  const first = failures[0];
  const model = (first?.candidate ?? candidates[0])?.target.model.id;
  const tried = model === undefined ? {} : { tried: { model, attempts: run.calls() } };
  if (first === undefined) {
    return new AppError('provider_unavailable', 'No model can answer at the moment. Try again later.', {
      retryable: true,
      retryAfterMs: waitMs(parts, candidates),
      ...tried,
    });
  }
  const { error, kind } = failures.findLast(({ candidate }) => candidate === first.candidate) ?? first;
  const waits = kind !== 'too-long' && kind !== 'refused';
  return new AppError(error.code, error.message, {
    retryable: error.retryable,
    ...(error.param === undefined ? {} : { param: error.param }),
    ...(waits ? { retryAfterMs: Math.max(waitMs(parts, candidates), onlyAsked(failures)) } : {}),
    cause: failures.length === 1 ? error.cause : toCause(failures),
    ...tried,
  });
}

/** Until the first of them may be called again. */
function waitMs({ health, clock }: RunParts, candidates: readonly Candidate[]): number {
  const now = clock.now();
  const waits = candidates.map(({ target }) => (health.circuits.closedUntil(circuitOf(target)) ?? now) - now);
  return Math.max(LEAST_RETRY_AFTER_MS, Math.min(...waits));
}

/** What the provider asked for, where there is but one target to say so. */
function onlyAsked(failures: readonly Failure[]): number {
  const newest = failures.at(-1);
  return failures.every(({ candidate }) => candidate === newest?.candidate) ? (newest?.error.retryAfterMs ?? 0) : 0;
}

function toCause(failures: readonly Failure[]): AggregateError {
  return new AggregateError(
    failures.map(({ error }) => error),
    failures.map(({ candidate, error }) => `${candidate.target.model.id}: ${error.code}`).join(', '),
  );
}
