import type { AnswerOpening } from './answer-opening.ts';
import { type AnswerPlan, planAnswer } from './answer-plan.ts';
import type { AnswererOptions } from './answerer-options.ts';
import { createDocumentTexts, type DocumentTexts } from './document-texts.ts';
import type { TrainedBots } from './trained-bots.ts';

/** All that is known before the model is asked. */
export interface Preparation extends AnswerOpening {
  readonly plan: AnswerPlan;
  readonly documents: DocumentTexts;
  readonly lexicalOnly: boolean;
  /** As searched, after words were carried over. */
  readonly searchQuery: string;
}

/** Finds the passages, of a bot that has any, and decides how to answer. */
export async function prepareAnswer(
  options: AnswererOptions & { readonly trainedBots: TrainedBots },
  opening: AnswerOpening,
  signal: AbortSignal,
): Promise<Preparation> {
  const { request, asked, tenant, history, usage } = opening;
  signal.throwIfAborted();
  const { onEmbedding } = usage;
  const query = { query: asked.question, messages: history, onEmbedding };
  const isTrained = await options.trainedBots.has(request.bot);
  const found = isTrained
    ? await options.searcher.search(request.bot, query, signal)
    : { query: asked.question, hits: [], lexicalOnly: false };
  signal.throwIfAborted();
  const documents = createDocumentTexts(tenant.documents);
  const plan = await planAnswer(options, { ...opening, found, documents, isTrained });
  return { ...opening, plan, documents, lexicalOnly: found.lexicalOnly, searchQuery: found.query };
}
