import type { JsonValue } from '../../kernel/index.ts';
import { type CeleryTaskError, errorOf, exceptionOf } from './failures.ts';
import type { CeleryTask } from './ports.ts';

/** How a run of a task ended. */
export type EndedOutcome =
  | { readonly type: 'done'; readonly value: JsonValue }
  | { readonly type: 'failed'; readonly error: CeleryTaskError };

type KeptOutcome = { readonly value: JsonValue } | { readonly exception: JsonValue };

/** An end as it is kept, for runs of the same task that come after. A value that nobody asks for is left out. */
export function noteOf({ ignoreResult }: CeleryTask, outcome: EndedOutcome): string {
  const kept: KeptOutcome =
    outcome.type === 'failed'
      ? { exception: exceptionOf(outcome.error) }
      : { value: ignoreResult ? null : outcome.value };
  return JSON.stringify(kept);
}

/** The end that a note of `noteOf` holds. */
export function outcomeIn(note: string): EndedOutcome {
  const kept = JSON.parse(note) as KeptOutcome;
  if ('value' in kept) return { type: 'done', value: kept.value };
  return { type: 'failed', error: errorOf({ status: 'FAILURE', result: kept.exception, traceback: null }) };
}
