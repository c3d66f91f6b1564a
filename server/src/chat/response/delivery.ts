import { AppError } from '../../kernel/index.ts';
import type { FinishReason, TokenUsage } from '../../llm/index.ts';
import type { Citation, Message } from '../../store/index.ts';
import type { AnswerEvent, CacheState } from '../ports.ts';
import { toAbortError } from './abort-error.ts';
import type { AnswerOpening } from './answer-opening.ts';
import type { AnswererOptions } from './answerer-options.ts';

type Start = Extract<AnswerEvent, { readonly type: 'start' }>;

/** The start of an answer that is not yet anybody's: without ids. */
export type MadeStart = Omit<Start, 'messageId' | 'conversationId'>;

/** What an answer is made of, before it is given to clients. */
export type MadeEvent = Exclude<AnswerEvent, Start> | MadeStart;

/** Where the events of an answer come from. */
export interface AnswerSource {
  readonly events: AsyncIterable<MadeEvent>;
  /** Where the answer comes from, when the events do not say it right for this client. */
  readonly cache?: CacheState;
}

/** An answer for one client. */
export interface Delivery extends AnswerSource {
  readonly opening: AnswerOpening;
  /** Called once the answer is stored in its conversation. */
  readonly onStored: (answer: string) => void;
}

/** What one client has been given. */
interface Delivered {
  readonly messageId: string;
  servedBy: string | null;
  text: string;
  /** The length of each event's text after the start, so that a stored answer can be replayed as it came. */
  readonly pieces: number[];
  stored: boolean;
}

/**
 * Gives an answer to one client, with a message id of its own, and keeps question and answer in the client's conversation.
 * The answer is stored before its `end` is given out; one that breaks off is stored as far as it came.
 */
export async function* deliver(
  options: AnswererOptions,
  begin: () => Promise<Delivery>,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent> {
  const startedAt = options.clock.now();
  const { events, cache, opening, onStored } = await begin().catch((error: unknown) => {
    throw signal.aborted ? toAbortError(signal) : error;
  });
  // First the question: ids are in the order of what is said.
  const question = storeQuestion(options, opening);
  question.catch(() => {});
  const messageId = opening.usage.answerId;
  const conversationId = opening.conversation?.id ?? null;
  const told = opening.request.continues?.pieces ?? [];
  const pieces = told.map(({ length }) => length);
  const servedBy = opening.request.continues?.servedBy ?? null;
  const delivered: Delivered = { messageId, servedBy, text: told.join(''), pieces, stored: false };
  try {
    for await (const event of events) {
      if (event.type === 'start') {
        await question;
        delivered.servedBy = event.servedBy;
        const state = cache ?? event.cache;
        if (state !== 'miss') {
          opening.usage.onCached(state, { model: event.servedBy, durationMs: options.clock.now() - startedAt });
        }
        // Calls that were made for somebody else are not this client's.
        const attempts = cache === undefined ? event.attempts : 0;
        yield { ...event, messageId, conversationId, cache: state, attempts };
        continue;
      }
      delivered.pieces.push(event.type === 'text-delta' ? event.text.length : 0);
      if (event.type === 'text-delta') delivered.text += event.text;
      // A turn in which the model only called tools goes on with what they answer, and is stored then.
      else if (event.type === 'end' && (delivered.text !== '' || event.finishReason !== 'tool_calls')) {
        await storeAnswer(options, opening, { delivered, status: 'complete', ...event });
      }
      yield event;
    }
  } catch (error) {
    throw signal.aborted ? toAbortError(signal) : error;
  } finally {
    if (!delivered.stored)
      await storePartial(options, { opening, delivered, finishReason: wasStopped(signal) ? 'cancelled' : null });
    if (delivered.stored) onStored(delivered.text);
  }
}

async function storeQuestion(
  { createId, clock }: AnswererOptions,
  { conversation, tenant, asked, request }: AnswerOpening,
): Promise<void> {
  if (conversation === null || request.continues !== undefined) return;
  // The question of an exchange with tools was stored when it was asked.
  if (asked.exchange.length > 0 && request.conversation !== true) return;
  await tenant.messages.append({
    id: createId('msg'),
    botId: conversation.botId,
    conversationId: conversation.id,
    role: 'user',
    content: asked.question,
    status: 'complete',
    citations: [],
    grounded: null,
    servedBy: null,
    createdAt: clock.now(),
  });
}

async function storeAnswer(
  { clock }: AnswererOptions,
  { conversation, tenant }: AnswerOpening,
  answer: {
    readonly delivered: Delivered;
    readonly status: Message['status'];
    readonly citations: readonly Citation[];
    readonly finishReason: FinishReason | 'cancelled' | null;
    readonly usage: TokenUsage | null;
  },
): Promise<void> {
  if (conversation === null) return;
  const { delivered, status, citations, finishReason, usage } = answer;
  const pieces = status === 'complete' ? delivered.pieces.slice(0, -1) : delivered.pieces;
  const now = clock.now();
  await tenant.transaction(async ({ messages, conversations }) => {
    await messages.append({
      id: delivered.messageId,
      botId: conversation.botId,
      conversationId: conversation.id,
      role: 'assistant',
      content: delivered.text,
      status,
      citations,
      grounded: citations.length > 0,
      servedBy: delivered.servedBy,
      stream: { pieces, finishReason, usage },
      createdAt: now,
    });
    await conversations.update(conversation.id, { updatedAt: now });
  });
  delivered.stored = true;
}

/** What was said before the answer broke off. A failure here must not hide the one that broke it. */
async function storePartial(
  options: AnswererOptions,
  {
    opening,
    delivered,
    finishReason,
  }: { readonly opening: AnswerOpening; readonly delivered: Delivered; readonly finishReason: 'cancelled' | null },
): Promise<void> {
  if (delivered.text === '') return;
  try {
    await storeAnswer(options, opening, {
      delivered,
      status: 'incomplete',
      citations: [],
      finishReason,
      usage: null,
    });
  } catch (err) {
    options.logger.error({ message: delivered.messageId, err }, 'partial answer not stored');
  }
}

function wasStopped({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof AppError && reason.code === 'answer_stopped';
}
