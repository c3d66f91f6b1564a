import {
  type ConversationMemory,
  createExtractiveSummarizer,
  createModelSummarizer,
  type Summarizer,
} from '../memory/index.ts';
import type { Preparation } from './answer-preparation.ts';
import { type AnswerOutcome, type AnswerRecord, reportAnswer, usageOf, usageRow } from './answer-record.ts';
import type { AnswererOptions } from './answerer-options.ts';
import type { BackgroundWork } from './background-work.ts';

/** What an answerer is made of, with what it makes itself. */
export interface AnswererParts extends AnswererOptions {
  readonly memory: ConversationMemory;
  readonly background: BackgroundWork;
}

/** Ledger, metrics and memory, after the last event. */
export function settle(
  parts: AnswererParts,
  preparation: Preparation,
  { record, outcome }: { readonly record: AnswerRecord; readonly outcome: AnswerOutcome },
): void {
  const { background, clock, createId } = parts;
  const usage = usageOf(preparation, record, parts);
  reportAnswer(parts, preparation, { record, outcome, usage });
  if (preparation.plan.type === 'ask') {
    const row = usageRow(preparation, usage, {
      id: createId('req'),
      outcome: outcome.type === 'failed' || outcome.type === 'cancelled' ? outcome.type : 'ok',
      durationMs: clock.now() - record.startedAt,
      createdAt: clock.now(),
    });
    background.add('usage', preparation.tenant.usage.add([row]));
  }
  const { conversation } = preparation;
  if (conversation !== null && record.stored)
    background.add('memory', consolidate(parts, preparation, conversation.id));
}

/** A summary by the model, or without one when there is none that can or it fails. */
async function consolidate(parts: AnswererParts, preparation: Preparation, conversationId: string): Promise<void> {
  const { counter, logger, clock, createId } = parts;
  const { model, tenant } = preparation;
  const plain = createExtractiveSummarizer(counter);
  const startedAt = clock.now();
  const byModel = createModelSummarizer({
    caller: model.caller,
    counter,
    onUsage: (usage) => {
      const now = clock.now();
      const row = { id: createId('req'), outcome: 'ok' as const, durationMs: now - startedAt, createdAt: now };
      parts.background.add('usage', tenant.usage.add([usageRow(preparation, usage, row)]));
    },
  });
  const summarize: Summarizer = async (previous, turns, signal) => {
    if (!model.readsPrompts) return plain(previous, turns, signal);
    try {
      return await byModel(previous, turns, signal);
    } catch (err) {
      logger.warn({ model: model.caller.id, err }, 'summary by the model failed');
      return plain(previous, turns, signal);
    }
  };
  await parts.memory.consolidate(tenant, conversationId, { summarize });
}
