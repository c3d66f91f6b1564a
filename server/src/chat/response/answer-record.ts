import { createHash } from 'node:crypto';
import type { AppError } from '../../kernel/index.ts';
import { type ChatMessage, countPrompt, type TokenUsage } from '../../llm/index.ts';
import type { PackedPassage } from '../context/index.ts';
import type { Preparation } from './answer-preparation.ts';
import type { AnswererOptions } from './answerer-options.ts';
import type { KeptAnswer } from './kept-answer.ts';

/** As English has them, for estimates. */
export const CHARACTERS_A_TOKEN = 4;

/** What becomes of an answer. */
export type AnswerOutcome =
  | { readonly type: 'grounded' | 'declined' | 'ungrounded' | 'cancelled' }
  | { readonly type: 'failed'; readonly error: AppError };

/** What is known of an answer while it is made; filled in as it comes. */
export interface AnswerRecord {
  readonly startedAt: number;
  /** Estimated by its length; zero when no model is asked. Counting takes longer than most of what else is done here. */
  readonly promptEstimate: number;
  /** The model that answers, `provider/model`: the one to be asked, until another one has answered. */
  servedBy: string;
  /** Upstream calls that this took. */
  attempts: number;
  degraded: readonly string[];
  /** One that was kept for the same question, for when no model can be had. */
  readonly stale: KeptAnswer | null;
  /** It was given. */
  isKept: boolean;
  /** As the client saw it, with what was told before. */
  text: string;
  /** What another process told and used of it: see `continues` of a request. */
  before: {
    readonly characters: number;
    readonly usage: TokenUsage;
    /** What of it is not in the ledger; null: nothing. */
    readonly unbooked: TokenUsage | null;
  };
  /** Of an answer that rests on passages: see `start`. */
  readonly passages: string | null;
  /** Names and arguments of the calls of tools, for counting. */
  toolCallText: string;
  /** What the provider said; null: nothing. */
  usage: TokenUsage | null;
}

/** The record of an answer of which nothing was said yet. */
export function beginRecord({ plan, model, lexicalOnly }: Preparation): Omit<AnswerRecord, 'startedAt' | 'stale'> {
  return {
    promptEstimate: plan.type === 'say' ? 0 : estimate(plan.request.messages),
    servedBy: model.caller.id,
    attempts: 0,
    degraded: lexicalOnly ? ['lexical_search'] : [],
    isKept: false,
    text: '',
    before: { characters: 0, usage: { inputTokens: 0, outputTokens: 0 }, unbooked: null },
    passages: plan.type === 'ask' && plan.passages.length > 0 ? markOf(plan.passages) : null,
    toolCallText: '',
    usage: null,
  };
}

/** Ids of documents are never used again: another text has another one. */
function markOf(passages: readonly PackedPassage[]): string {
  const places = passages.map(({ documentId, start, end }) => `${documentId} ${start} ${end}`);
  return createHash('sha256').update(places.join('\n')).digest('base64url').slice(0, PASSAGES_MARK);
}

/** In characters: 132 bits. */
const PASSAGES_MARK = 22;

function estimate(messages: readonly ChatMessage[]): number {
  return Math.ceil(messages.reduce((sum, { content }) => sum + content.length, 0) / CHARACTERS_A_TOKEN);
}

/** The usage of the call so far: as the provider said, else counted; zero when no model was asked. */
export function usageOf({ plan }: Preparation, record: AnswerRecord, options: AnswererOptions): TokenUsage {
  if (plan.type === 'say') return { inputTokens: 0, outputTokens: 0 };
  const { characters, usage: before } = record.before;
  const own = record.usage ?? {
    inputTokens: countPrompt(plan.request.messages, options.counter),
    outputTokens: options.counter.count(record.text.slice(characters) + record.toolCallText),
  };
  if (characters === 0) return own;
  return {
    ...own,
    inputTokens: own.inputTokens + before.inputTokens,
    outputTokens: own.outputTokens + before.outputTokens,
  };
}

/** Counts an answer that has ended, in whatever way. */
export function reportAnswer(
  { meter, clock }: AnswererOptions,
  { plan }: Preparation,
  answer: { readonly record: AnswerRecord; readonly outcome: AnswerOutcome; readonly usage: TokenUsage },
): void {
  const labels = { model: answer.record.servedBy };
  for (const step of answer.record.degraded) meter.count('chatsphere_degraded_answers_total', { step });
  meter.count('chatsphere_answers_total', { outcome: answer.outcome.type });
  if (answer.outcome.type === 'failed') {
    meter.count('ai_error_total', { ...labels, error_type: answer.outcome.error.code });
  }
  if (answer.outcome.type !== 'cancelled') {
    const seconds = (clock.now() - answer.record.startedAt) / 1000;
    meter.observe('ai_response_time_seconds', { ...labels, endpoint: 'chat' }, seconds);
  }
  if (plan.type === 'ask') {
    meter.count('ai_token_usage_total', { ...labels, type: 'input' }, answer.usage.inputTokens);
    meter.count('ai_token_usage_total', { ...labels, type: 'output' }, answer.usage.outputTokens);
  }
}
