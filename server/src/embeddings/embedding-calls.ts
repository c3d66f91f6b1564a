import { AppError, type Clock, type Logger, type Meter } from '../kernel/index.ts';
import { retry } from '../resilience/index.ts';
import type { CallLanes } from './call-lanes.ts';
import { checkResult } from './check-result.ts';
import type { Embedder, EmbeddingCall, EmbeddingRequest, EmbeddingResult } from './ports.ts';

/** What one text became. */
export interface Embedded {
  readonly vector: Float32Array;
  readonly inputTokens: number;
  readonly provisional: boolean;
}

export interface EmbeddingCaller {
  readonly embedder: Embedder;
  readonly lanes: CallLanes;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly random: () => number;
  /** Most tries of a call to a remote embedder. */
  readonly attempts: number;
}

/** All calls side by side within the lanes; the first failure ends the others. */
export async function callAll(
  caller: EmbeddingCaller,
  parts: readonly (readonly string[])[],
  request: EmbeddingRequest,
): Promise<readonly (readonly Embedded[])[]> {
  const others = new AbortController();
  const signal = request.signal === undefined ? others.signal : AbortSignal.any([request.signal, others.signal]);
  try {
    return await Promise.all(parts.map((part) => callOnce(caller, part, { ...request, signal })));
  } catch (error) {
    others.abort(error);
    throw error;
  }
}

/** One call to the embedder, in turn, and again where that may help. */
export async function callOnce(
  caller: EmbeddingCaller,
  texts: readonly string[],
  request: EmbeddingRequest,
): Promise<readonly Embedded[]> {
  const { embedder, lanes, clock, random, logger } = caller;
  const { purpose, signal } = request;
  const call = (): Promise<readonly Embedded[]> =>
    lanes.run(() => callMeasured(caller, texts, request), { urgent: purpose === 'query', signal });
  if (embedder.profile.local) return call();
  const { value } = await retry(
    {
      attempts: caller.attempts,
      baseDelayMs: 250,
      maxDelayMs: 8_000,
      clock,
      random,
      ...(signal === undefined ? {} : { signal }),
      onRetry: ({ error, attempt, delayMs }) =>
        logger.warn({ code: error.code, attempt, delayMs, texts: texts.length }, 'embedding call failed, trying again'),
    },
    call,
  );
  return value;
}

async function callMeasured(
  { embedder, clock, meter }: EmbeddingCaller,
  texts: readonly string[],
  request: EmbeddingRequest,
): Promise<readonly Embedded[]> {
  const { id: model } = embedder.profile;
  const startedAt = clock.now();
  const report = (call: Pick<EmbeddingCall, 'inputTokens' | 'outcome' | 'errorCode'>): void =>
    request.onCall?.({ model, texts, durationMs: clock.now() - startedAt, ...call });
  try {
    const result = checkResult(await embedder.doEmbed(texts, request), {
      count: texts.length,
      dimensions: request.dimensions ?? embedder.profile.dimensions,
    });
    meter.observe('chatsphere_embedding_duration_seconds', { model }, (clock.now() - startedAt) / 1000);
    meter.count('chatsphere_embedding_texts_total', { model, outcome: 'embedded' }, texts.length);
    meter.count('ai_token_usage_total', { model, type: 'input' }, result.inputTokens);
    report({ inputTokens: result.inputTokens > 0 ? result.inputTokens : null, outcome: 'ok', errorCode: null });
    return shareOut(result, texts);
  } catch (error) {
    if (request.signal?.aborted) {
      report({ inputTokens: 0, outcome: 'cancelled', errorCode: null });
      throw request.signal.reason;
    }
    const failure = toEmbeddingFailure(error);
    meter.count('chatsphere_embedding_texts_total', { model, outcome: 'failed' }, texts.length);
    meter.count('ai_error_total', { model, error_type: failure.code });
    report({ inputTokens: 0, outcome: 'failed', errorCode: failure.code });
    throw failure;
  }
}

/** A joint call's tokens, shared by length: callers of a shared call account for their own part. */
function shareOut(result: EmbeddingResult, texts: readonly string[]): readonly Embedded[] {
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  let charactersBefore = 0;
  return result.vectors.map((vector, position) => {
    const tokensBefore = Math.round((result.inputTokens * charactersBefore) / characters);
    charactersBefore += texts[position]?.length ?? 0;
    const tokensAfter = Math.round((result.inputTokens * charactersBefore) / characters);
    return { vector, inputTokens: tokensAfter - tokensBefore, provisional: result.provisional === true };
  });
}

function toEmbeddingFailure(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('embedding_failed', 'The text could not be embedded. Try again.', {
    cause: error,
    retryable: true,
  });
}
