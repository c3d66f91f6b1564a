import { AppError, type Clock, type Logger, type Meter, type Watchdogs } from '../../kernel/index.ts';
import type { CircuitPermit } from '../../resilience/index.ts';
import type { ChatModelEvent, ChatModelRequest, FinishReason, TokenCounter } from '../ports.ts';
import { createCallRecorder } from './call-report.ts';
import { type FailureKind, kindOf } from './failure-rules.ts';
import type { ModelCallReport } from './model-call.ts';
import type { ModelHealth } from './model-health.ts';
import { type ModelStream, type ModelStreamEnd, openModelStream } from './model-stream.ts';
import type { Candidate } from './model-target.ts';

/** All in milliseconds. */
export interface ModelDeadlines {
  /** From each call to its first visible token. */
  readonly firstTokenMs: number;
  /** From one token to the next, while somebody waits for it. */
  readonly idleTokenMs: number;
  /** For the whole: all models, their retries and the waits between them included. */
  readonly totalMs: number;
}

export interface RunParts {
  readonly health: ModelHealth;
  readonly deadlines: ModelDeadlines;
  readonly counter: TokenCounter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

export interface Failure {
  readonly candidate: Candidate;
  readonly kind: FailureKind;
  readonly error: AppError;
}

/** A call that has begun to answer. */
export interface BegunCall {
  readonly call: OpenedCall;
  readonly stream: ModelStream;
  readonly first: ChatModelEvent;
}

/** One answer on its way through the chain: what was asked, what is left to spend, what went wrong so far. */
export interface AnswerRun {
  readonly request: ChatModelRequest;
  /** A call has answered only when it has come to its end. */
  readonly isWhole: boolean;
  readonly signal: AbortSignal;
  readonly deadlineAt: number;
  /** Upstream calls made so far. */
  readonly calls: () => number;
  readonly failures: readonly Failure[];
  /** Opens one call. The permit is told how it went, whoever reads the stream. */
  open(candidate: Candidate, permit: CircuitPermit): OpenedCall;
}

export interface OpenedCall {
  readonly candidate: Candidate;
  /** Resolves with the first visible token or tool call; rejects with the signal's reason, or with what is also among `failures`. */
  begin(): Promise<BegunCall>;
  cancel(): void;
}

export interface Asked {
  readonly request: ChatModelRequest;
  readonly signal: AbortSignal;
  readonly onCall: ((report: ModelCallReport) => void) | undefined;
  /** A failure in mid-answer is survived like one before it: nobody has read anything yet. */
  readonly isWhole: boolean;
}

export function createAnswerRun(
  parts: RunParts & { readonly watchdogs: Watchdogs },
  { request, signal, onCall, isWhole }: Asked,
): AnswerRun {
  const { clock, deadlines, health, logger, meter, watchdogs } = parts;
  const deadlineAt = clock.now() + deadlines.totalMs;
  const failures: Failure[] = [];
  let calls = 0;

  function open(candidate: Candidate, permit: CircuitPermit): OpenedCall {
    const { target } = candidate;
    const model = target.model.id;
    const openedAt = clock.now();
    const recorder = createCallRecorder(target, request, parts);
    calls += 1;
    let hasBegun = false;

    function onEnd(end: ModelStreamEnd): void {
      if (end.outcome === 'failed') tellFailure(end.error);
      else if (end.outcome === 'ok') permit.succeeded();
      else permit.released();
      meter.count('chatsphere_model_calls_total', { model, outcome: end.outcome });
      onCall?.(recorder.report(end));
    }

    function tellFailure(error: AppError): void {
      const isFinal = hasBegun && !isWhole;
      const kind = kindOf(error, isFinal ? 0 : clock.now() - openedAt);
      if (hasBegun) logger.warn({ model, code: error.code, err: error }, 'model stream interrupted');
      if (!isFinal) failures.push({ candidate, kind, error });
      if (kind === 'too-long' || kind === 'refused') permit.released();
      else if (!health.rest(target, kind, error)) permit.failed(error.code);
    }

    const stream = openModelStream({
      ...{ model: target.model, request, signal, deadlineAt, watchdogs, onEnd },
      onEvent(event) {
        recorder.take(event);
        return event.type === 'end' && !recorder.hasSpoken() && !mayEndSilently(request, event) ? emptyAnswer() : null;
      },
    });
    const opened: OpenedCall = {
      candidate,
      async begin() {
        const first = await readFirstEvent(stream, clock.now() + deadlines.firstTokenMs);
        hasBegun = true;
        permit.begun();
        const tookMs = clock.now() - openedAt;
        health.took(model, tookMs);
        meter.observe('chatsphere_model_first_token_seconds', { model }, tookMs / 1000);
        return { call: opened, stream, first };
      },
      cancel: () => stream.close(),
    };
    return opened;
  }

  return { request, isWhole, signal, deadlineAt, calls: () => calls, failures, open };
}

/** What may end an answer before its first word; a stop sequence may, too. */
const ENDS_WITHOUT_TEXT: ReadonlySet<FinishReason> = new Set(['content_filter', 'length']);

function mayEndSilently(
  { stop = [] }: ChatModelRequest,
  { finishReason }: { readonly finishReason: FinishReason },
): boolean {
  return stop.length > 0 || ENDS_WITHOUT_TEXT.has(finishReason);
}

function emptyAnswer(): AppError {
  return new AppError('provider_invalid_response', 'The model sent an empty answer. Try again.', { retryable: true });
}

/** Reads up to the first visible token, call of a tool, or end; blanks before it are kept in front of it. */
async function readFirstEvent(stream: ModelStream, dueAt: number): Promise<ChatModelEvent> {
  let blanks = '';
  for (;;) {
    const { done, value: event } = await stream.next(dueAt, 'begin to answer');
    if (done === true) throw emptyAnswer();
    if (event.type !== 'text-delta') return event;
    if (event.text.trim() !== '') return blanks === '' ? event : { type: 'text-delta', text: blanks + event.text };
    blanks += event.text;
  }
}
