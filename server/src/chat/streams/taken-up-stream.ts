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
 * `stream_interrupted` behind the told ones when nobody can go on with it, and as the answerer does. When it is stopped the
 * told ones are stored.
 */
export async function* goOn(
  { answerer, store }: TakenUpParts,
  taken: TakenUp,
  { signal, reportUsage }: { readonly signal: AbortSignal; readonly reportUsage: Parameters<Answerer['answer']>[2] },
): AsyncGenerator<AnswerEvent> {
  const { told } = taken;
  let isMade = told.at(-1)?.type === 'end';
  try {
    yield* told;
    if (isMade) return;
    const request = await requestFor(store, taken);
    if (request === null) throw brokenOff();
    isMade = true;
    for await (const event of answerer.answer(request, signal, reportUsage)) {
      if (event.type !== 'start' || told.length === 0) yield event;
    }
  } finally {
    if (!isMade && told.length > 0 && isStop(signal)) await storeTold();
  }

  /** What was told is stored by an answer that is stopped before it says more. */
  async function storeTold(): Promise<void> {
    const request = await requestFor(store, taken);
    if (request === null) return;
    try {
      for await (const _ of answerer.answer(request, signal, reportUsage));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

function isStop({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof AppError && reason.code === 'answer_stopped';
}

/** Null: nobody can go on with it. */
async function requestFor(
  store: TakenUpParts['store'],
  { about, order, told, booked }: TakenUp,
): Promise<AnswerRequest | null> {
  const begun = told.length === 0 ? begunAnswerOf(order) : toldAnswerOf(told, booked);
  if (order === null || begun === null) return null;
  const bot = await store.forTenant(about.tenantId).bots.get(about.botId);
  return bot === null ? null : { ...order.answer, ...begun, bot, messageId: about.id };
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
function toldAnswerOf(told: readonly AnswerEvent[], booked: number | null): Begun | null {
  const [start, ...said] = told;
  if (start?.type !== 'start') return null;
  const pieces: string[] = [];
  for (const event of said) {
    if (event.type !== 'text-delta') return null;
    pieces.push(event.text);
  }
  const { conversationId, servedBy, passages = null } = start;
  const ofMakers = booked === null ? {} : { booked: Math.max(0, booked - 1) };
  return { continues: { conversationId, servedBy, passages, pieces, ...ofMakers } };
}

/** Nobody can go on with the answer. */
export function brokenOff(): AppError {
  return new AppError('stream_interrupted', 'This is all there is: the answer broke off here. Ask again.', {
    retryable: true,
  });
}
