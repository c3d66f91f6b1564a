import type { TokenUsage } from '../../llm/index.ts';
import {
  type ConversationMemory,
  createExtractiveSummarizer,
  createModelSummarizer,
  type Summarizer,
} from '../memory/index.ts';
import type { AnswerCache } from './answer-cache.ts';
import type { AnswerOpening } from './answer-opening.ts';
import type { Preparation } from './answer-preparation.ts';
import { type AnswerOutcome, type AnswerRecord, reportAnswer, usageOf } from './answer-record.ts';
import type { AnswererOptions } from './answerer-options.ts';
import type { BackgroundWork } from './background-work.ts';
import type { TrainedBots } from './trained-bots.ts';

/** What an answerer is made of, with what it makes itself. */
export interface AnswererParts extends AnswererOptions {
  readonly memory: ConversationMemory;
  readonly background: BackgroundWork;
  /** Null: every answer is made anew. */
  readonly cache: AnswerCache | null;
  readonly trainedBots: TrainedBots;
  /** Aborts when the process stops and nothing slow is begun or waited for any more. */
  readonly stopping: AbortSignal;
}

/** Ledger and metrics, after the last event. Returns what the answer used. */
export function settle(
  parts: AnswererParts,
  preparation: Preparation,
  { record, outcome }: { readonly record: AnswerRecord; readonly outcome: AnswerOutcome },
): TokenUsage {
  const usage = usageOf(preparation, record, parts);
  reportAnswer(parts, preparation, { record, outcome, usage });
  if (preparation.plan.type === 'ask') {
    preparation.usage.settle({
      model: record.servedBy,
      outcome: outcome.type === 'failed' || outcome.type === 'cancelled' ? outcome.type : 'ok',
      errorCode: outcome.type === 'failed' ? outcome.error.code : null,
      durationMs: parts.clock.now() - record.startedAt,
    });
  }
  return usage;
}

/** Takes a stored answer into the conversation's memory, in the background. A short first turn leaves nothing to do. */
export function remember(parts: AnswererParts, opening: AnswerOpening, answer: string): void {
  const { conversation, request, asked } = opening;
  if (conversation === null) return;
  if (request.conversation === true && parts.memory.isShort([asked.question, answer])) return;
  parts.background.add('memory', consolidate(parts, opening, conversation.id));
}

/**
 * A summary by the model, or without one when there is none that can or it fails. Given up when the process stops: the
 * next turn takes the same messages into it.
 */
async function consolidate(parts: AnswererParts, opening: AnswerOpening, conversationId: string): Promise<void> {
  const { counter, logger, stopping } = parts;
  const { model, tenant, usage } = opening;
  const plain = createExtractiveSummarizer(counter);
  const byModel = createModelSummarizer({ caller: model.caller, onCall: usage.onSummaryCall });
  const summarize: Summarizer = async (previous, turns, signal) => {
    if (!model.readsPrompts) return plain(previous, turns, signal);
    try {
      return await byModel(previous, turns, signal);
    } catch (err) {
      signal?.throwIfAborted();
      logger.warn({ model: model.caller.id, err }, 'summary by the model failed');
      return plain(previous, turns, signal);
    }
  };
  try {
    await parts.memory.consolidate(tenant, conversationId, { summarize, signal: stopping });
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
}
