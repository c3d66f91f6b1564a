import type { AppError, ErrorCode } from '../../kernel/index.ts';

/** Kinds of failure before the first visible token that are dealt with alike. */
export type FailureKind = 'passing' | 'slow' | 'limited' | 'key' | 'nonsense' | 'too-long' | 'refused';

export interface FailureRule {
  readonly codes: readonly ErrorCode[];
  /**
   * Whether the same model is called again under the same key. `jitter`: once while another model is left, else while
   * the budget lasts, after a random wait; not at all while another key of the same model is left. `last`: only when no other target is left. `asked`: the same, after the wait that the
   * provider asked for. `once`: once for the whole answer. `never`.
   */
  readonly again: 'jitter' | 'last' | 'asked' | 'once' | 'never';
  /** What it means for the target: `counts` towards its circuit, makes it `rest` for others, too, or `nothing`. */
  readonly circuit: 'counts' | 'rests' | 'nothing';
  /** Whether a cached or extractive answer may stand in when every model has failed. */
  readonly standIn: boolean;
}

/** What is done about each kind of failure. docs/models.md shows this table; a test holds it to it. */
export const FAILURE_RULES: Readonly<Record<FailureKind, FailureRule>> = {
  passing: {
    codes: ['provider_error', 'stream_interrupted'],
    again: 'jitter',
    circuit: 'counts',
    standIn: true,
  },
  slow: { codes: ['provider_timeout', 'provider_unreachable'], again: 'last', circuit: 'counts', standIn: true },
  limited: { codes: ['provider_rate_limited'], again: 'asked', circuit: 'rests', standIn: true },
  key: {
    codes: ['provider_authentication_failed', 'provider_quota_exhausted'],
    again: 'never',
    circuit: 'rests',
    standIn: true,
  },
  nonsense: { codes: ['provider_invalid_response'], again: 'once', circuit: 'counts', standIn: true },
  'too-long': { codes: ['context_length_exceeded'], again: 'never', circuit: 'nothing', standIn: false },
  refused: { codes: ['provider_rejected_request'], again: 'never', circuit: 'nothing', standIn: true },
};

const KINDS: ReadonlyMap<ErrorCode, FailureKind> = new Map(
  Object.entries(FAILURE_RULES).flatMap(([kind, { codes }]) => codes.map((code) => [code, kind as FailureKind])),
);

/** A passing failure that took longer than this is not waited for again while there is another target. */
const SLOW_MS = 1000;

/** `tookMs`: how long the call lasted. Codes that the table does not name go by `retryable`. */
export function kindOf(error: AppError, tookMs: number): FailureKind {
  const kind = KINDS.get(error.code) ?? (error.retryable ? 'passing' : 'refused');
  return kind === 'passing' && tookMs > SLOW_MS ? 'slow' : kind;
}
