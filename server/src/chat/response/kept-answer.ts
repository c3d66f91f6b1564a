import type { JsonObject } from '../../kernel/index.ts';
import type { ChatModelEvent, LastResort } from '../../llm/index.ts';
import type { AnswerEvent, CacheState } from '../ports.ts';
import type { MadeEvent, MadeStart } from './delivery.ts';

type End = Extract<AnswerEvent, { readonly type: 'end' }>;

/** A whole answer as it is kept for others who ask the same. */
export interface KeptAnswer {
  readonly start: MadeStart;
  readonly text: string;
  readonly end: End;
  /** Milliseconds since 1970; later it is a last resort only. */
  readonly freshUntil: number;
}

/** Characters of a piece of a replayed answer, about. */
const PIECE = 120;

/** Takes down an answer while it is given out. */
export interface AnswerTaker {
  take(event: MadeEvent): void;
  /** The answer if it may be kept: whole, ended by itself, undegraded, and made of text alone. */
  whole(): Omit<KeptAnswer, 'freshUntil'> | null;
}

export function createAnswerTaker(): AnswerTaker {
  let start: MadeStart | null = null;
  let end: End | null = null;
  let text = '';
  let callsTools = false;
  return {
    take(event) {
      if (event.type === 'start') start = event;
      else if (event.type === 'end') end = event;
      else if (event.type === 'tool-call-delta') callsTools = true;
      else text += event.text;
    },
    whole() {
      if (start === null || end === null || callsTools || text.trim() === '') return null;
      return end.finishReason === 'stop' && end.degraded.length === 0 ? { start, text, end } : null;
    },
  };
}

/** The same answer again, as a stream. */
export async function* replay({ start, text, end }: KeptAnswer, cache: CacheState): AsyncGenerator<MadeEvent> {
  yield { ...start, attempts: 0, cache };
  for (const piece of piecesOf(text)) yield { type: 'text-delta', text: piece };
  yield end;
}

/** Cut behind spaces, so that no character is torn. */
function piecesOf(text: string): readonly string[] {
  return text.match(new RegExp(`[^]{1,${PIECE}}\\S*\\s*`, 'g')) ?? [];
}

/** The name of the step in `degraded`. */
export const CACHED_ANSWER = 'cached_answer';

/** What is said when no model can be had: the answer of before. Its content is current, only its time is over. */
export function lastResortOf(kept: KeptAnswer): LastResort {
  return {
    step: CACHED_ANSWER,
    begin: async () => ({ servedBy: kept.start.servedBy, events: saidAgain(kept) }),
  };
}

async function* saidAgain({ text, end }: KeptAnswer): AsyncGenerator<ChatModelEvent> {
  for (const piece of piecesOf(text)) yield { type: 'text-delta', text: piece };
  yield { type: 'end', finishReason: end.finishReason, usage: { inputTokens: 0, outputTokens: 0 } };
}

export function writeKept(answer: KeptAnswer): string {
  return JSON.stringify(answer);
}

/** Null for what is no answer of this version. */
export function readKept(value: string | null): KeptAnswer | null {
  if (value === null) return null;
  try {
    const kept = JSON.parse(value) as JsonObject;
    return typeof kept['text'] === 'string' && typeof kept['freshUntil'] === 'number'
      ? (kept as unknown as KeptAnswer)
      : null;
  } catch {
    return null;
  }
}
