import type { AnswerOpening } from './answer-opening.ts';
import { type AnswerPlan, planAnswer } from './answer-plan.ts';
import type { AnswererOptions } from './answerer-options.ts';
import { createDocumentTexts, type DocumentTexts } from './document-texts.ts';

/** All that is known before the model is asked. */
export interface Preparation extends AnswerOpening {
  readonly plan: AnswerPlan;
  readonly documents: DocumentTexts;
  readonly lexicalOnly: boolean;
}

/** Finds the passages and decides how to answer. */
export async function prepareAnswer(
  options: AnswererOptions,
  opening: AnswerOpening,
  signal: AbortSignal,
): Promise<Preparation> {
  const { request, asked, tenant, history } = opening;
  signal.throwIfAborted();
  const found = await options.searcher.search(request.bot, { query: asked.question, messages: history }, signal);
  signal.throwIfAborted();
  const documents = createDocumentTexts(tenant.documents);
  const plan = await planAnswer(options, { ...opening, found, documents });
  return { ...opening, plan, documents, lexicalOnly: found.lexicalOnly };
}
