import { AppError, toAppError } from '../../kernel/index.ts';
import type { FinishReason, ModelCallStart, TokenUsage } from '../../llm/index.ts';
import type { Citation } from '../../store/index.ts';
import { createConversationMemory } from '../memory/index.ts';
import type { AnswerEvent, Answerer, AnswerRequest } from '../ports.ts';
import { type Preparation, prepareAnswer } from './answer-preparation.ts';
import { type AnswerOutcome, type AnswerRecord, answerMessage, beginRecord, usageOf } from './answer-record.ts';
import type { AnswererOptions } from './answerer-options.ts';
import { createBackgroundWork } from './background-work.ts';
import { citeAnswer } from './citations.ts';
import { createMarkerFilter } from './marker-filter.ts';
import { isRefusal } from './refusal.ts';
import { type AnswererParts as Parts, settle } from './settlement.ts';

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
  const parts: Parts = { ...options, memory, background, stopping: stop.signal };
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
  const signal = AbortSignal.any([client.signal, reader.signal]);
  const events = makeAnswer(parts, request, { ...client, signal });
  return {
    next: () => events.next(),
    async return() {
      reader.abort(new AppError('request_aborted', 'The client left before the answer was complete.'));
      await events.return(undefined).catch(() => {});
      return { done: true, value: undefined };
    },
  };
}

async function* makeAnswer(parts: Parts, request: AnswerRequest, client: Client): AsyncGenerator<AnswerEvent> {
  const { signal, reportUsage } = client;
  const startedAt = parts.clock.now();
  const preparation = await prepareAnswer(parts, request, signal).catch((error: unknown) => {
    throw signal.aborted ? toAbortError(signal) : error;
  });
  const record: AnswerRecord = { ...beginRecord(preparation, parts), startedAt };
  const onText = usageMeter(parts, record, reportUsage);
  let outcome: AnswerOutcome = { type: 'cancelled' };
  try {
    const finishReason = yield* speak(preparation, record, { signal, onText });
    const citations = await cite(preparation, record);
    outcome = { type: outcomeOf(preparation, record, citations) };
    await store(parts, preparation, { record, status: 'complete', citations });
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
    if (!record.stored) await storePartial(parts, preparation, record);
    reportUsage(settle(parts, preparation, { record, outcome }));
  }
}

/** Reports the prompt now, and each text that is given to it as it is said. */
function usageMeter({ counter }: Parts, { promptTokens }: AnswerRecord, reportUsage: Client['reportUsage']) {
  let outputTokens = 0;
  const report = (): void => reportUsage({ inputTokens: promptTokens, outputTokens });
  report();
  return (text: string): void => {
    if (promptTokens === 0) return;
    outputTokens += counter.count(text);
    report();
  };
}

function toAbortError({ reason }: AbortSignal): AppError {
  if (reason instanceof AppError) return reason;
  return new AppError('request_aborted', 'The client left before the answer was complete.', { cause: reason });
}

/** Says the start, the text and the calls of tools; `start` waits for the first of them that is visible. Returns why the text ended. */
async function* speak(
  preparation: Preparation,
  record: AnswerRecord,
  { signal, onText }: { readonly signal: AbortSignal; readonly onText: (text: string) => void },
): AsyncGenerator<AnswerEvent, FinishReason> {
  let begun = false;
  let finishReason: FinishReason | null = null;
  const { plan } = preparation;
  const filter = createMarkerFilter(
    plan.type === 'ask' && plan.request.grounding !== null ? plan.passages.length : null,
  );
  for await (const event of spoken(preparation, signal)) {
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
    const text = event.type === 'text-delta' ? filter.push(event.text) : filter.flush();
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

  function* begin(): Generator<AnswerEvent> {
    if (!begun) yield startOf(preparation, record);
    begun = true;
  }
}

/** The model's events, or the same for a text that needs no model. */
function spoken({ plan, model }: Preparation, signal: AbortSignal): ReturnType<typeof model.caller.stream> {
  return plan.type === 'ask' ? model.caller.stream(plan.request, { signal }) : say(plan.text, model.caller.id);
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
}

function startOf(
  { conversation }: Preparation,
  { messageId, servedBy, attempts, degraded }: AnswerRecord,
): AnswerEvent {
  return {
    type: 'start',
    messageId,
    conversationId: conversation?.id ?? null,
    servedBy,
    attempts,
    degraded,
  };
}

/** Citations that hold against the stored text; none for a refusal. */
async function cite(preparation: Preparation, record: AnswerRecord): Promise<readonly Citation[]> {
  const { plan, documents, asked } = preparation;
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

async function store(
  { clock }: Parts,
  preparation: Preparation,
  answer: {
    readonly record: AnswerRecord;
    readonly status: 'complete' | 'incomplete';
    readonly citations: readonly Citation[];
  },
): Promise<void> {
  const { conversation, tenant } = preparation;
  // A turn in which the model only called tools goes on with what they answer, and is stored then.
  if (conversation === null || (answer.record.text === '' && answer.record.toolCallText !== '')) return;
  const now = clock.now();
  const { record, status, citations } = answer;
  const grounded = citations.length > 0;
  await tenant.transaction(async ({ messages, conversations }) => {
    await messages.append(
      answerMessage({ ...preparation, conversation }, record, { status, citations, grounded, now }),
    );
    await conversations.update(conversation.id, { updatedAt: now });
  });
  record.stored = true;
}

/** What was said before the answer broke off. A failure here must not hide the one that broke it. */
async function storePartial(parts: Parts, preparation: Preparation, record: AnswerRecord): Promise<void> {
  if (record.text === '') return;
  try {
    await store(parts, preparation, { record, status: 'incomplete', citations: [] });
  } catch (err) {
    parts.logger.error({ message: record.messageId, err }, 'partial answer not stored');
  }
}
