import type { ChatMessage } from '../../llm/index.ts';
import type { Conversation, TenantStore } from '../../store/index.ts';
import type { ConversationMemory, Recollection } from '../memory/index.ts';
import type { AnswerRequest } from '../ports.ts';
import { type AnswerUsage, createAnswerUsage } from './answer-usage.ts';
import type { AnswererOptions, AnsweringModel } from './answerer-options.ts';
import { type Asked, readAsked } from './asked.ts';
import { openConversation } from './conversation-opening.ts';

/** What is known of a question before its content is looked at. */
export interface AnswerOpening {
  readonly request: AnswerRequest;
  readonly asked: Asked;
  readonly tenant: TenantStore;
  readonly conversation: Conversation | null;
  readonly memory: Recollection;
  /** The turns before the question as search takes them: remembered, or sent along. */
  readonly history: readonly ChatMessage[];
  readonly model: AnsweringModel;
  /** What is used on behalf of this client. */
  readonly usage: AnswerUsage;
}

/**
 * Opens the conversation and recalls what was said. Rejects with `invalid_request`, `context_length_exceeded`,
 * `model_not_found` or `conversation_not_found`.
 */
export async function openAnswer(
  options: AnswererOptions & { readonly memory: ConversationMemory },
  request: AnswerRequest,
): Promise<AnswerOpening> {
  const asked = readAsked(request.messages);
  const model = options.chooseModel(request.bot);
  const tenant = options.store.forTenant(request.bot.tenantId);
  const conversation = await openConversation(request, asked.question, {
    ...options,
    conversations: tenant.conversations,
  });
  const usage = createAnswerUsage(options, request);
  usage.inConversation(conversation?.id ?? null);
  const isContinued = conversation !== null && request.conversation !== true;
  const memory = isContinued
    ? await options.memory.recall(tenant, conversation, request.messageId)
    : options.memory.recallSent(asked.history);
  const history = isContinued ? memory.messages : asked.history;
  return { request, asked, tenant, conversation, memory, history, model, usage };
}
