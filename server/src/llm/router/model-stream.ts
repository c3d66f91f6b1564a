import { AppError, type Clock, toAppError } from '../../kernel/index.ts';
import type { ChatModel, ChatModelEvent, ChatModelRequest, TokenCounter, TokenUsage } from '../ports.ts';
import { countPrompt } from '../token-usage.ts';
import { createLinkedAbort } from './linked-abort.ts';
import type { ModelCallReport } from './model-call.ts';
import { createWatchdog } from './watchdog.ts';

/** A moment (milliseconds since 1970) by which the model must have said something, and what is missing if it has not. */
export interface Due {
  readonly at: number;
  readonly missing: string;
}

export interface ModelStream {
  /** The next event. Rejects as soon as the time is up or the signal aborts, whether or not the model heeds it. */
  next(due: Due): Promise<ChatModelEvent>;
  /** Ends the call. Cancels it at the provider unless its `end` was read. */
  close(): void;
}

export interface ModelStreamOptions {
  readonly model: ChatModel;
  readonly keyFingerprint: string | null;
  readonly request: ChatModelRequest;
  readonly clock: Clock;
  readonly counter: TokenCounter;
  readonly signal: AbortSignal;
  /** When the call ends even if nobody reads it any more (milliseconds since 1970). */
  readonly deadlineAt: number;
  readonly onCall: ((report: ModelCallReport) => void) | undefined;
}

/** One call of a model, whose waits are bounded and whose provider is told at once when nobody wants it any more. */
export function openModelStream(options: ModelStreamOptions): ModelStream {
  const { model, request, clock, signal, deadlineAt } = options;
  const abort = createLinkedAbort(signal);
  const watchdog = createWatchdog(clock);
  const record = beginRecord(clock);
  const iterator = model.doStream(request, { signal: abort.signal })[Symbol.asyncIterator]();
  let rejectWaiting: ((reason: unknown) => void) | null = null;
  let state: 'open' | 'ended' | 'closed' = 'open';
  abort.signal.addEventListener('abort', () => rejectWaiting?.(abort.signal.reason), { once: true });

  function pull(): Promise<IteratorResult<ChatModelEvent>> {
    return new Promise((resolve, reject) => {
      if (abort.signal.aborted) return reject(abort.signal.reason);
      rejectWaiting = reject;
      iterator.next().then(resolve, reject);
    });
  }

  function expectBy({ at, missing }: Due): void {
    watchdog.arm(Math.min(at, deadlineAt), () => abort.abort(timedOut(missing)));
  }

  return {
    async next(due) {
      expectBy(due);
      try {
        const { done, value } = await pull();
        if (done) throw new AppError('stream_interrupted', 'The model stopped in mid-answer.', { retryable: true });
        if (value.type === 'end') state = 'ended';
        takeDown(record, value, clock);
        return value;
      } catch (error) {
        if (!signal.aborted) record.failure = error;
        throw error;
      } finally {
        rejectWaiting = null;
        expectBy({ at: deadlineAt, missing: 'finish its answer' });
      }
    },
    close() {
      if (state === 'closed') return;
      const isOpen = state === 'open';
      if (isOpen) abort.abort(new AppError('request_aborted', 'The answer is no longer wanted.'));
      state = 'closed';
      watchdog[Symbol.dispose]();
      abort[Symbol.dispose]();
      // Not awaited: a model that hangs would keep its reader waiting.
      iterator.return?.().catch(() => {});
      options.onCall?.(reportOf(options, record, isOpen));
    },
  };
}

/** What is known of a call while it lasts. */
interface CallRecord {
  readonly startedAt: number;
  firstTokenMs: number | null;
  text: string;
  hasBegun: boolean;
  usage: TokenUsage | null;
  /** What broke it off; undefined: nothing. */
  failure: unknown;
}

function beginRecord(clock: Clock): CallRecord {
  return {
    startedAt: clock.now(),
    firstTokenMs: null,
    text: '',
    hasBegun: false,
    usage: null,
    failure: undefined,
  };
}

function takeDown(record: CallRecord, event: ChatModelEvent, clock: Clock): void {
  record.hasBegun = true;
  if (event.type === 'end') {
    record.usage = event.usage;
    return;
  }
  const isCall = event.type === 'tool-call-delta';
  record.text += isCall ? (event.name ?? '') + event.argumentsText : event.text;
  if (record.firstTokenMs === null && (isCall || event.text.trim() !== '')) {
    record.firstTokenMs = clock.now() - record.startedAt;
  }
}

function reportOf(
  { model, keyFingerprint, request, clock, counter }: ModelStreamOptions,
  record: CallRecord,
  isOpen: boolean,
): ModelCallReport {
  const error = record.failure === undefined ? null : toAppError(record.failure);
  // A provider that was left or kept silent has taken the prompt in; one that refused has not.
  const wasTaken = record.hasBegun || error === null || error.code === 'provider_timeout';
  const usage = record.usage ?? {
    inputTokens: wasTaken ? countPrompt(request.messages, counter) : 0,
    outputTokens: counter.count(record.text),
  };
  return {
    model: model.id,
    keyFingerprint,
    outcome: error !== null ? 'failed' : isOpen ? 'cancelled' : 'ok',
    errorCode: error?.code ?? null,
    usage,
    usageSource: record.usage === null ? 'counted' : 'provider',
    startedAt: record.startedAt,
    firstTokenMs: record.firstTokenMs,
    durationMs: clock.now() - record.startedAt,
  };
}

function timedOut(missing: string): AppError {
  return new AppError('provider_timeout', `The model did not ${missing} in time. Try again.`, { retryable: true });
}
