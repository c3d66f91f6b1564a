import { AppError, toAppError } from '../../kernel/index.ts';
import type { ChatModelEvent, FinishReason, ModelCallOptions, ModelCallStart, TokenUsage } from '../../llm/index.ts';
import type { Citation } from '../../store/index.ts';
import { createConversationMemory } from '../memory/index.ts';
import type { AnswerEvent, Answerer, AnswerRequest } from '../ports.ts';
import { toAbortError } from './abort-error.ts';
import { createAnswerCache, type MakeAnswer } from './answer-cache.ts';
import { type AnswerOpening, openAnswer } from './answer-opening.ts';
import { type Preparation, prepareAnswer } from './answer-preparation.ts';
import { type AnswerOutcome, type AnswerRecord, beginRecord, CHARACTERS_A_TOKEN, usageOf } from './answer-record.ts';
import type { AnswererOptions } from './answerer-options.ts';
import { createBackgroundWork } from './background-work.ts';
import { citeAnswer } from './citations.ts';
import { continued, createTextPass, reportCallBefore, requireSameGround } from './continuation.ts';
import { type Delivery, deliver, type MadeEvent } from './delivery.ts';
import { CACHED_ANSWER, type KeptAnswer, lastResortOf } from './kept-answer.ts';
import { isRefusal } from './refusal.ts';
import { type AnswererParts as Parts, remember, settle } from './settlement.ts';
import { createTrainedBots } from './trained-bots.ts';

/** An answerer whose book-keeping can be waited for. */
export interface TrackedAnswerer extends Answerer {
  /**
   * Resolves once the ledger of all answers so far is written. Summaries that a model is writing are given up: the next
   * turn makes them. Call it when no more answers are asked for, before the store is stopped.
   */
  drain(): Promise<void>;
}

/**
 * Question to cited answer: conversation and memory, search, packed passages, the model's stream without markers of
 * passages that do not exist, and citations that were checked against the stored text. The answer is stored before its
 * `end` is given out; the ledger and the rolling summary follow in the background.
 */
export function createAnswerer(options: AnswererOptions): TrackedAnswerer {
  const { counter, clock, defaults } = options;
  const memory = createConversationMemory({
    counter,
    clock,
    ...(defaults?.memoryTokens === undefined ? {} : { windowTokens: defaults.memoryTokens }),
  });
  const background = createBackgroundWork(options.logger);
  const stop = new AbortController();
  const cache = options.answerCache === undefined ? null : createAnswerCache({ ...options, ...options.answerCache });
  const trainedBots = createTrainedBots(options.store);
  const parts: Parts = { ...options, memory, background, cache, trainedBots, stopping: stop.signal };
  return {
    answer: (request, signal, reportUsage = () => {}) => ({
      [Symbol.asyncIterator]: () => cancellable(parts, request, { signal, reportUsage }),
    }),
    drain() {
      stop.abort();
      return background.drain();
    },
  };
}

interface Client {
  readonly signal: AbortSignal;
  readonly reportUsage: (usage: TokenUsage) => void;
}

/** An iterator whose return() cancels at once, whatever the answer is waiting for. */
function cancellable(parts: Parts, request: AnswerRequest, client: Client): AsyncIterator<AnswerEvent> {
  const reader = new AbortController();
  const { signal } = reader;
  const leave = (): void => reader.abort(client.signal.reason);
  // By hand: `AbortSignal.any` costs several times as much, for each answer.
  if (client.signal.aborted) leave();
  else client.signal.addEventListener('abort', leave, { once: true });
  const events = deliver(parts, () => beginAnswer(parts, request, { ...client, signal }), signal);
  return {
    next: () => events.next(),
    async return() {
      reader.abort(new AppError('request_aborted', 'The client left before the answer was complete.'));
      await events.return(undefined).catch(() => {});
      return { done: true, value: undefined };
    },
  };
}

/** An answer that is kept, is being made for somebody else who asks the same, or is made for this client. */
async function beginAnswer(parts: Parts, request: AnswerRequest, client: Client): Promise<Delivery> {
  const { signal } = client;
  const opening = await openAnswer(parts, request);
  // What was told before is stored, however early this ends.
  if (request.continues === undefined) signal.throwIfAborted();
  const make: MakeAnswer = (within, stale) => makeAnswer(parts, opening, { ...client, signal: within, stale });
  const source =
    parts.cache === null || request.continues !== undefined
      ? { events: make(signal, null) }
      : await parts.cache.source(opening, make, signal);
  return { ...source, opening, onStored: (answer) => remember(parts, opening, answer) };
}

interface Making extends Client {
  /** For when no model can be had. */
  readonly stale: KeptAnswer | null;
}

async function* makeAnswer(parts: Parts, opening: AnswerOpening, making: Making): AsyncGenerator<MadeEvent> {
  const { signal, reportUsage, stale } = making;
  const startedAt = parts.clock.now();
  const prepared = await prepareAnswer(parts, opening, signal).catch((error: unknown) => {
    throw signal.aborted ? toAbortError(signal) : error;
  });
  const { preparation, record: told } = continued(prepared, parts.counter);
  if (preparation.plan.type === 'ask') preparation.usage.withPrompt(preparation.plan.prompt.template.version);
  const record: AnswerRecord = { ...beginRecord(preparation), startedAt, stale, ...told };
  const onText = usageMeter(record, reportUsage);
  let outcome: AnswerOutcome = { type: 'cancelled' };
  reportCallBefore(preparation, record);
  try {
    requireSameGround(preparation, record);
    const lastResorts = stale === null ? [] : [lastResortOf(stale)];
    const finishReason = yield* speak(preparation, record, {
      ...{ signal, onText, lastResorts },
      wholeAnswer: opening.request.wholeAnswer === true,
    });
    const citations = await cite(preparation, record);
    outcome = { type: outcomeOf(preparation, record, citations) };
    yield {
      type: 'end',
      finishReason,
      usage: usageOf(preparation, record, parts),
      citations,
      grounded: outcome.type === 'grounded',
      degraded: record.degraded,
    };
  } catch (error) {
    if (signal.aborted) throw toAbortError(signal);
    outcome = { type: 'failed', error: toAppError(error) };
    throw outcome.error;
  } finally {
    reportUsage(settle(parts, preparation, { record, outcome }));
  }
}

/** Reports the prompt now, and each text that is given to it as it is said, both estimated: the last report is exact. */
function usageMeter({ promptEstimate, before }: AnswerRecord, reportUsage: Client['reportUsage']) {
  let characters = 0;
  const report = (): void =>
    reportUsage({
      inputTokens: before.usage.inputTokens + promptEstimate,
      outputTokens: before.usage.outputTokens + Math.ceil(characters / CHARACTERS_A_TOKEN),
    });
  report();
  return (text: string): void => {
    if (promptEstimate === 0) return;
    characters += text.length;
    report();
  };
}

/** Says the start, the text and the calls of tools; `start` waits for the first of them that is visible. Returns why the text ended. */
async function* speak(
  preparation: Preparation,
  record: AnswerRecord,
  { onText, ...call }: ModelCallOptions & { readonly onText: (text: string) => void },
): AsyncGenerator<MadeEvent, FinishReason> {
  let begun = false;
  let finishReason: FinishReason | null = null;
  const { plan } = preparation;
  const filter = createTextPass(preparation, countOfPassages(plan));
  for await (const event of spoken(preparation, call)) {
    if (event.type === 'start') {
      takeDown(record, event);
      continue;
    }
    if (event.type === 'tool-call-delta') {
      yield* begin();
      record.toolCallText += (event.name ?? '') + event.argumentsText;
      onText((event.name ?? '') + event.argumentsText);
      yield event;
      continue;
    }
    const text = record.isKept ? said(event) : filtered(event);
    const visible = record.text === '' ? text.trimStart() : text;
    if (visible !== '') {
      yield* begin();
      record.text += visible;
      onText(visible);
      yield { type: 'text-delta', text: visible };
    }
    if (event.type === 'end') {
      record.usage = event.usage;
      finishReason = event.finishReason;
    }
  }
  if (finishReason === null) {
    throw new AppError('stream_interrupted', 'The answer broke off. Try again.', { retryable: true });
  }
  yield* begin();
  return finishReason;

  function filtered(event: TextOrEnd): string {
    return event.type === 'text-delta' ? filter.push(event.text) : filter.flush();
  }

  function* begin(): Generator<MadeEvent> {
    if (!begun) yield startOf(record);
    begun = true;
  }
}

/** Null: nothing in the text is a marker, or may be taken for one: `[5]` is a list in JSON. */
function countOfPassages(plan: Preparation['plan']): number | null {
  if (plan.type === 'say' || plan.request.grounding === null || plan.request.responseFormat !== undefined) return null;
  return plan.passages.length;
}

type TextOrEnd = Extract<ChatModelEvent, { readonly type: 'text-delta' | 'end' }>;

/** The markers of a kept answer were checked when it was made. */
function said(event: TextOrEnd): string {
  return event.type === 'text-delta' ? event.text : '';
}

/** The model's events, or the same for a text that needs no model. */
function spoken({ plan, model, usage }: Preparation, call: ModelCallOptions): ReturnType<typeof model.caller.stream> {
  if (plan.type === 'say') return say(plan.text, model.caller.id);
  return model.caller.stream(plan.request, { ...call, onCall: usage.onCall });
}

async function* say(text: string, servedBy: string): ReturnType<typeof spoken> {
  yield { type: 'start', attempts: 0, servedBy, degraded: [] };
  yield { type: 'text-delta', text };
  yield { type: 'end', finishReason: 'stop', usage: null };
}

function takeDown(record: AnswerRecord, { servedBy, attempts, degraded }: ModelCallStart): void {
  record.servedBy = servedBy;
  record.attempts = attempts;
  record.degraded = [...degraded, ...record.degraded];
  record.isKept = degraded.includes(CACHED_ANSWER);
}

function startOf({ servedBy, attempts, degraded, isKept, passages }: AnswerRecord): MadeEvent {
  const ground = passages === null ? {} : { passages };
  return { type: 'start', servedBy, attempts, degraded, cache: isKept ? 'exact' : 'miss', ...ground };
}

/** Citations that hold against the stored text; none for a refusal. */
async function cite(preparation: Preparation, record: AnswerRecord): Promise<readonly Citation[]> {
  const { plan, documents, asked } = preparation;
  if (record.isKept) return record.stale?.end.citations ?? [];
  if (plan.type === 'say' || plan.passages.length === 0 || isRefusal(record.text, plan.refusalMessage)) return [];
  const cited = plan.passages.filter(({ index }) => record.text.includes(`[${index}]`));
  if (cited.length === 0) return [];
  return citeAnswer({
    question: asked.question,
    answer: record.text,
    passages: cited,
    documentTexts: await documents.read(cited.map(({ documentId }) => documentId)),
  });
}

function outcomeOf(
  { plan }: Preparation,
  record: AnswerRecord,
  citations: readonly Citation[],
): 'grounded' | 'declined' | 'ungrounded' {
  if (plan.type === 'say' || isRefusal(record.text, plan.refusalMessage)) return 'declined';
  return citations.length > 0 ? 'grounded' : 'ungrounded';
}
