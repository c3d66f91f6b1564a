import type { Conversation, Message, TenantStore } from '../../store/index.ts';
import type { ConversationMemory } from '../memory/index.ts';
import type { AnswerRequest } from '../ports.ts';
import { type AnswerPlan, planAnswer } from './answer-plan.ts';
import type { AnswererOptions, AnsweringModel } from './answerer-options.ts';
import { type Asked, readAsked } from './asked.ts';
import { openConversation } from './conversation-opening.ts';
import { createDocumentTexts, type DocumentTexts } from './document-texts.ts';

/** All that is known before the model is asked. */
export interface Preparation {
  readonly request: AnswerRequest;
  readonly asked: Asked;
  readonly tenant: TenantStore;
  readonly conversation: Conversation | null;
  readonly model: AnsweringModel;
  readonly plan: AnswerPlan;
  readonly documents: DocumentTexts;
  readonly lexicalOnly: boolean;
}

/**
 * Opens the conversation, stores the question, recalls what was said, finds the passages and decides how to answer.
 * Rejects with `invalid_request`, `context_length_exceeded`, `model_not_found` or `conversation_not_found`.
 */
export async function prepareAnswer(
  options: AnswererOptions & { readonly memory: ConversationMemory },
  request: AnswerRequest,
  signal: AbortSignal,
): Promise<Preparation> {
  const asked = readAsked(request.messages);
  const model = options.chooseModel(request.bot.model);
  const tenant = options.store.forTenant(request.bot.tenantId);
  const conversation = await openConversation(request, asked.question, {
    ...options,
    conversations: tenant.conversations,
  });
  const isContinued = conversation !== null && request.conversation !== true;
  const memory = isContinued
    ? await options.memory.recall(tenant, conversation)
    : options.memory.recallSent(asked.history);
  signal.throwIfAborted();
  const [found] = await Promise.all([
    options.searcher.search(
      request.bot,
      { query: asked.question, messages: isContinued ? memory.messages : asked.history },
      signal,
    ),
    conversation === null ? undefined : tenant.messages.append(questionMessage(options, conversation, asked.question)),
  ]);
  signal.throwIfAborted();
  const documents = createDocumentTexts(tenant.documents);
  const plan = await planAnswer(options, { request, asked, memory, found, model, documents });
  return { request, asked, tenant, conversation, model, plan, documents, lexicalOnly: found.lexicalOnly };
}

function questionMessage(
  { createId, clock }: AnswererOptions,
  conversation: Conversation,
  question: string,
): Omit<Message, 'tenantId'> {
  return {
    id: createId('msg'),
    botId: conversation.botId,
    conversationId: conversation.id,
    role: 'user',
    content: question,
    status: 'complete',
    citations: [],
    grounded: null,
    servedBy: null,
    createdAt: clock.now(),
  };
}
