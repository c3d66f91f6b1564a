import type { ChatMessage } from '../../llm/index.ts';
import type { Conversation, Message, TenantStore } from '../../store/index.ts';
import type { ConversationMemory, Recollection } from '../memory/index.ts';
import type { AnswerRequest, SearchResult } from '../ports.ts';
import { type AnswerPlan, planAnswer } from './answer-plan.ts';
import type { AnswererOptions, AnsweringModel } from './answerer-options.ts';
import { type Asked, readAsked } from './asked.ts';
import { openConversation } from './conversation-opening.ts';

/** All that is known before the model is asked. */
export interface Preparation {
  readonly request: AnswerRequest;
  readonly asked: Asked;
  readonly tenant: TenantStore;
  readonly conversation: Conversation | null;
  readonly model: AnsweringModel;
  readonly plan: AnswerPlan;
  readonly lexicalOnly: boolean;
}

/**
 * Opens the conversation, stores the question, recalls what was said, finds the passages and decides how to answer.
 * Rejects with `invalid_request`, `model_not_found` or `conversation_not_found`.
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
  const memory = await recall(options.memory, { tenant, request, conversation, history: asked.history });
  signal.throwIfAborted();
  const [found] = await Promise.all([
    search(options, { request, question: asked.question, history: memory.messages }, signal),
    conversation === null ? undefined : tenant.messages.append(questionMessage(options, conversation, asked.question)),
  ]);
  signal.throwIfAborted();
  const plan = await planAnswer(options, { request, asked, memory, found, model });
  return { request, asked, tenant, conversation, model, plan, lexicalOnly: found.lexicalOnly };
}

/** The stored conversation, when one is continued; else what the client sent along. */
async function recall(
  memory: ConversationMemory,
  {
    tenant,
    request,
    conversation,
    history,
  }: {
    readonly tenant: TenantStore;
    readonly request: AnswerRequest;
    readonly conversation: Conversation | null;
    readonly history: readonly ChatMessage[];
  },
): Promise<Recollection> {
  if (conversation === null || request.conversation === true) return { messages: history, summary: null };
  return memory.recall(tenant, conversation);
}

function search(
  { searcher }: AnswererOptions,
  {
    request,
    question,
    history,
  }: {
    readonly request: AnswerRequest;
    readonly question: string;
    readonly history: readonly ChatMessage[];
  },
  signal: AbortSignal,
): Promise<SearchResult> {
  return searcher.search(request.bot, { query: question, messages: history }, signal);
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
