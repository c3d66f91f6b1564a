import { AppError } from '../../kernel/index.ts';
import type { Store } from '../../store/index.ts';
import type { AnswerEvent, Answerer, AnswerRequest } from '../ports.ts';
import type { AnswerOrder, TakenUp } from './ports.ts';

/** In characters of JSON. A question with more around it is not kept for others to answer. */
const LONGEST_ORDER = 64 * 1024;

/** The order if others may make the answer from it, else null. */
export function orderToKeep(order: AnswerOrder): AnswerOrder | null {
  return JSON.stringify(order).length <= LONGEST_ORDER ? order : null;
}

export interface TakenUpParts {
  readonly answerer: Answerer;
  readonly store: Pick<Store, 'forTenant'>;
}

/**
 * The events of a stream that its maker has left: those that were told, then what makes the answer whole. Rejects with
 * `stream_interrupted` behind the told ones when nobody can go on with it, and as the answerer does.
 */
export async function* goOn(
  { answerer, store }: TakenUpParts,
  { about, order, told }: TakenUp,
  client: { readonly signal: AbortSignal; readonly reportUsage: Parameters<Answerer['answer']>[2] },
): AsyncGenerator<AnswerEvent> {
  yield* told;
  if (told.at(-1)?.type === 'end') return;
  const begun = told.length === 0 ? begunAnswerOf(order) : toldAnswerOf(told);
  const bot = await store.forTenant(about.tenantId).bots.get(about.botId);
  if (order === null || begun === null || bot === null) throw brokenOff();
  const request = { ...order.answer, ...begun, bot, messageId: about.id };
  for await (const event of answerer.answer(request, client.signal, client.reportUsage)) {
    if (event.type !== 'start' || told.length === 0) yield event;
  }
}

type Begun = Pick<AnswerRequest, 'continues'>;

/**
 * Of an answer that has told nothing. Its question was stored before the stream began, in a conversation that is known or,
 * when it was to be a new one, is not: that is begun once more.
 */
function begunAnswerOf(order: AnswerOrder | null): Begun {
  const conversationId = order?.answer.conversation ?? null;
  return conversationId === true ? {} : { continues: { conversationId, servedBy: '', passages: null, pieces: [] } };
}

/** Null: it calls tools, whose calls cannot be gone on with. */
function toldAnswerOf(told: readonly AnswerEvent[]): Begun | null {
  const [start, ...said] = told;
  if (start?.type !== 'start') return null;
  const pieces: string[] = [];
  for (const event of said) {
    if (event.type !== 'text-delta') return null;
    pieces.push(event.text);
  }
  const { conversationId, servedBy, passages = null } = start;
  return { continues: { conversationId, servedBy, passages, pieces } };
}

/** Nobody can go on with the answer. */
export function brokenOff(): AppError {
  return new AppError('stream_interrupted', 'This is all there is: the answer broke off here. Ask again.', {
    retryable: true,
  });
}
