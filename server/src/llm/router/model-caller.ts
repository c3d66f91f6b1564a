import { AppError, type Clock, type Logger, type Meter } from '../../kernel/index.ts';
import { retry } from '../../resilience/index.ts';
import type { ChatModel, ChatModelEvent, ChatModelRequest, FinishReason, TokenCounter } from '../ports.ts';
import { createLinkedAbort, type LinkedAbort } from './linked-abort.ts';
import type { ModelCallEvent, ModelCaller, ModelCallReport } from './model-call.ts';
import { type ModelStream, openModelStream } from './model-stream.ts';

/** All in milliseconds. */
export interface ModelDeadlines {
  /** From each call to its first visible token. */
  readonly firstTokenMs: number;
  /** From one token to the next, while somebody waits for it. */
  readonly idleTokenMs: number;
  /** For the whole, retries and the waits between them included. */
  readonly totalMs: number;
}

export interface ModelCallerOptions {
  readonly model: ChatModel;
  readonly deadlines: ModelDeadlines;
  readonly retries: {
    /** Most calls for one answer, the first one included. */
    readonly attempts: number;
    readonly baseDelayMs: number;
    readonly maxDelayMs: number;
  };
  readonly counter: TokenCounter;
  readonly clock: Clock;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random?: () => number;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Makes one model safe to call: deadlines, retries before the first token, cancellation. */
export function createModelCaller(options: ModelCallerOptions): ModelCaller {
  return {
    id: options.model.id,
    stream: (request, { signal, onCall } = {}) => ({
      [Symbol.asyncIterator]() {
        const call = createLinkedAbort(signal);
        const events = callModel(options, { request, onCall }, call);
        return {
          next: () => events.next(),
          // The generator's own return() would wait for the token that is under way.
          async return() {
            call.abort(new AppError('request_aborted', 'The reader left before the answer was complete.'));
            await events.return(undefined).catch(() => {});
            return { done: true, value: undefined };
          },
        };
      },
    }),
  };
}

interface Wanted {
  readonly request: ChatModelRequest;
  readonly onCall: ((report: ModelCallReport) => void) | undefined;
}

async function* callModel(
  options: ModelCallerOptions,
  wanted: Wanted,
  call: LinkedAbort,
): AsyncGenerator<ModelCallEvent> {
  const { signal } = call;
  const deadlineAt = options.clock.now() + options.deadlines.totalMs;
  try {
    const { value: answer, attempts } = await begin({ ...wanted, options, signal, deadlineAt });
    yield* finish({ ...answer, attempts }, options, signal);
  } finally {
    call[Symbol.dispose]();
  }
}

async function* finish(
  { stream, first, attempts }: BegunAnswer & { readonly attempts: number },
  { clock, deadlines, logger, model }: ModelCallerOptions,
  signal: AbortSignal,
): AsyncGenerator<ModelCallEvent> {
  try {
    yield { type: 'start', attempts, servedBy: model.id, degraded: [] };
    let event = first;
    yield event;
    while (event.type !== 'end') {
      event = await stream.next({ at: clock.now() + deadlines.idleTokenMs, missing: 'finish its answer' });
      yield event;
    }
  } catch (error) {
    signal.throwIfAborted();
    const interruption = toInterruption(error);
    logger.warn({ model: model.id, code: interruption.code, err: error }, 'model stream interrupted');
    throw interruption;
  } finally {
    stream.close();
  }
}

interface Beginning extends Wanted {
  readonly options: ModelCallerOptions;
  readonly signal: AbortSignal;
  readonly deadlineAt: number;
}

interface BegunAnswer {
  readonly stream: ModelStream;
  readonly first: ChatModelEvent;
}

/** Calls until one call has begun to answer. */
function begin({ options, request, onCall, signal, deadlineAt }: Beginning) {
  const { clock, counter, deadlines, model, random = Math.random, retries } = options;
  const onRetry = (failed: FailedCall): void => reportRetry(options, failed);
  const policy = { ...retries, clock, random, signal, deadlineAt, mayRetry: isWorthARetry, onRetry };
  return retry(policy, async (): Promise<BegunAnswer> => {
    const firstTokenAt = clock.now() + deadlines.firstTokenMs;
    const stream = openModelStream({
      ...{ model, keyFingerprint: null, request, clock, counter, signal, deadlineAt, onCall },
    });
    try {
      return { stream, first: await readFirstEvent(stream, { at: firstTokenAt, mayBeEmpty: hasStops(request) }) };
    } catch (error) {
      stream.close();
      throw error;
    }
  });
}

interface FailedCall {
  readonly error: AppError;
  readonly attempt: number;
  readonly delayMs: number;
}

function reportRetry({ logger, meter, model }: ModelCallerOptions, { error, attempt, delayMs }: FailedCall): void {
  meter.count('chatsphere_model_retries_total', { model: model.id });
  logger.warn({ model: model.id, code: error.code, attempt, delayMs, err: error }, 'model call failed, trying again');
}

/** A stop sequence may cut an answer before its first word. */
function hasStops(request: ChatModelRequest): boolean {
  return (request.stop ?? []).length > 0;
}

/** What may end an answer before its first word. */
const ENDS_WITHOUT_TEXT: ReadonlySet<FinishReason> = new Set(['content_filter', 'length']);

/** Reads up to the first visible token or call of a tool; blanks before it are kept in front of it. */
async function readFirstEvent(
  stream: ModelStream,
  { at, mayBeEmpty }: { readonly at: number; readonly mayBeEmpty: boolean },
): Promise<ChatModelEvent> {
  const blanks: string[] = [];
  for (;;) {
    const event = await stream.next({ at, missing: 'begin to answer' });
    if (event.type === 'text-delta') {
      blanks.push(event.text);
      if (event.text.trim() !== '') return { type: 'text-delta', text: blanks.join('') };
    } else if (event.type === 'tool-call-delta' || mayBeEmpty || ENDS_WITHOUT_TEXT.has(event.finishReason)) {
      return event;
    } else {
      throw new AppError('provider_invalid_response', 'The model sent an empty answer. Try again.', {
        retryable: true,
      });
    }
  }
}

/** Nonsense is given one more chance; what is retryable otherwise, as many as there are attempts. */
function isWorthARetry(failures: readonly AppError[]): boolean {
  const newest = failures.at(-1);
  if (newest?.code !== 'provider_invalid_response') return true;
  return failures.filter((failure) => failure.code === newest.code).length === 1;
}

function toInterruption(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('stream_interrupted', 'The connection to the model broke in mid-answer. Try again.', {
    retryable: true,
    cause: error,
  });
}
