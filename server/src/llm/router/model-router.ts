import { AppError, createWatchdogs, type Watchdogs } from '../../kernel/index.ts';
import type { ChatModelEvent, ChatModelRequest } from '../ports.ts';
import { type AnswerRun, type BegunCall, createAnswerRun } from './answer-run.ts';
import { type BeginParts, beginAnswer } from './begin-answer.ts';
import { exhaustedError } from './exhausted.ts';
import { FAILURE_RULES } from './failure-rules.ts';
import { beginLastResort, type LastResort, type ResortAnswer } from './last-resort.ts';
import { createLinkedAbort } from './linked-abort.ts';
import type { ModelCallEvent, ModelCaller, ModelCallOptions, ModelCallStart } from './model-call.ts';
import type { ModelChain } from './model-chain.ts';

export interface ModelRouterOptions extends BeginParts {
  readonly chain: ModelChain;
  /** Asked in turn when all models have failed, after those of the request. */
  readonly lastResorts: readonly LastResort[];
}

interface RouterParts extends ModelRouterOptions {
  readonly watchdogs: Watchdogs;
}

/** A begun answer, wherever it comes from. */
interface Source {
  readonly start: ModelCallStart;
  readonly first: ChatModelEvent;
  next(): Promise<IteratorResult<ChatModelEvent>>;
  /** Told once there is nothing more to come. */
  whenEnded(listener: () => void): void;
  close(): void;
}

/**
 * Makes a chain of models safe to call: deadlines, retries within one budget, circuits, other keys and models, last
 * resorts, all before the first visible token; after it one error, never a switch, never a clean end of a cut stream.
 */
export function createModelRouter(options: ModelRouterOptions): ModelCaller {
  const parts = { ...options, watchdogs: createWatchdogs(options.clock, options.deadlines.idleTokenMs) };
  return {
    id: options.chain.id,
    stream: (request, callOptions = {}) => ({
      [Symbol.asyncIterator]: () => createAnswerIterator(parts, request, callOptions),
    }),
  };
}

/** By hand rather than as a generator: each event passes here, and a generator would cost promises for each. */
function createAnswerIterator(
  options: RouterParts,
  request: ChatModelRequest,
  callOptions: ModelCallOptions,
): AsyncIterator<ModelCallEvent> {
  const call = createLinkedAbort(callOptions.signal);
  const { signal } = call;
  let source: Source | null = null;
  let said: 'nothing' | 'start' | 'first' = 'nothing';
  let left = false;

  async function begin(): Promise<IteratorResult<ModelCallEvent>> {
    try {
      signal.throwIfAborted();
      source = await findSource(options, { request, signal, callOptions });
      // The reader may have left while it was found.
      if (signal.aborted) source.close();
      signal.throwIfAborted();
    } catch (error) {
      left = true;
      call[Symbol.dispose]();
      throw signal.aborted ? signal.reason : error;
    }
    source.whenEnded(() => call[Symbol.dispose]());
    said = 'start';
    return { done: false, value: source.start };
  }

  function sayFirst(begun: Source): Promise<IteratorResult<ModelCallEvent>> {
    said = 'first';
    return Promise.resolve({ done: false, value: begun.first });
  }

  return {
    next() {
      if (left) return Promise.resolve({ done: true, value: undefined });
      if (source === null) return begin();
      return said === 'first' ? source.next() : sayFirst(source);
    },
    return() {
      left = true;
      call.abort(new AppError('request_aborted', 'The reader left before the answer was complete.'));
      source?.close();
      call[Symbol.dispose]();
      return Promise.resolve({ done: true, value: undefined });
    },
  };
}

interface Wanted {
  readonly request: ChatModelRequest;
  readonly signal: AbortSignal;
  readonly callOptions: ModelCallOptions;
}

/** Rejects with the signal's reason, or with what the client is to be told. */
async function findSource(options: RouterParts, { request, signal, callOptions }: Wanted): Promise<Source> {
  const run = createAnswerRun(options, {
    request,
    signal,
    onCall: callOptions.onCall,
    isWhole: callOptions.wholeAnswer === true,
  });
  const candidates = options.chain.order();
  const begun = await beginAnswer(options, run, candidates);
  if (begun !== null) return modelSource(options, run, begun);
  const error = exhaustedError(options, run, candidates);
  if (mayStandIn(run)) {
    const resorts = [...(callOptions.lastResorts ?? []), ...options.lastResorts];
    const resort = await beginLastResort(resorts, request, { ...options, signal });
    if (resort !== null) {
      options.logger.warn(
        { model: options.chain.id, step: resort.step, code: error.code, err: error },
        'models failed',
      );
      return resortSource(run, resort);
    }
  }
  throw error;
}

/** What the client has to mend itself is told, not papered over. */
function mayStandIn({ failures }: AnswerRun): boolean {
  const first = failures[0];
  return first === undefined || FAILURE_RULES[first.kind].standIn;
}

function modelSource(options: ModelRouterOptions, run: AnswerRun, { call, stream, first }: BegunCall): Source {
  const { clock, deadlines, chain, meter } = options;
  const { candidate } = call;
  const model = candidate.target.model.id;
  const isFallback = candidate.rank > chain.firstRank;
  if (isFallback) meter.count('chatsphere_model_fallbacks_total', { model });
  const step = candidate.cheaper ? 'cheaper_model' : 'fallback_model';
  return {
    start: { type: 'start', attempts: run.calls(), servedBy: model, degraded: isFallback ? [step] : [] },
    first,
    next: () => stream.next(clock.now() + deadlines.idleTokenMs, 'finish its answer'),
    whenEnded: (listener) => stream.whenEnded(listener),
    close: () => stream.close(),
  };
}

function resortSource(run: AnswerRun, { step, servedBy, first, rest }: ResortAnswer): Source {
  let onEnded = (): void => {};
  return {
    start: { type: 'start', attempts: run.calls(), servedBy, degraded: [step] },
    first,
    async next() {
      const result = await rest.next();
      if (result.done === true || result.value.type === 'end') onEnded();
      return result;
    },
    whenEnded(listener) {
      onEnded = listener;
    },
    close() {
      rest.return?.().catch(() => {});
      onEnded();
    },
  };
}
