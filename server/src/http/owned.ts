import type { FastifyRequest } from 'fastify';
import { AppError } from '../kernel/index.ts';
import { requireBot } from '../security/index.ts';
import type { Bot, Conversation, Document, Job, Source, Store } from '../store/index.ts';
import { principalOf } from './request-context.ts';

type TenantStores = Pick<Store, 'forTenant'>;

/** The caller's bot of this id or slug. Rejects with `bot_not_found`, also when it is another's. */
export async function findBot(store: TenantStores, request: FastifyRequest, idOrSlug: string): Promise<Bot> {
  const principal = principalOf(request);
  return requireBot(principal, await store.forTenant(principal.tenantId).bots.get(idOrSlug));
}

export async function findSource(store: TenantStores, bot: Bot, id: string): Promise<Source> {
  const source = await store.forTenant(bot.tenantId).sources.get(bot.id, id);
  if (source !== null) return source;
  throw new AppError('source_not_found', `This bot has no such source. List them: GET /v1/bots/${bot.slug}/sources.`);
}

export async function findDocument(store: TenantStores, request: FastifyRequest, id: string): Promise<Document> {
  const { tenantId } = principalOf(request);
  const document = await store.forTenant(tenantId).documents.get(id);
  if (document !== null && mayUse(request, document.botId)) return document;
  throw new AppError('document_not_found', 'There is no such document.');
}

export async function findJob(store: TenantStores, request: FastifyRequest, id: string): Promise<Job> {
  const { tenantId } = principalOf(request);
  const job = await store.forTenant(tenantId).jobs.get(id);
  if (job !== null && mayUse(request, job.botId)) return job;
  throw new AppError('job_not_found', 'There is no such job.');
}

export async function findConversation(
  store: TenantStores,
  request: FastifyRequest,
  id: string,
): Promise<Conversation> {
  const { tenantId } = principalOf(request);
  const conversation = await store.forTenant(tenantId).conversations.get(id);
  if (conversation !== null && mayUse(request, conversation.botId)) return conversation;
  throw new AppError('conversation_not_found', 'There is no such conversation.');
}

/** A key that is bound to bots sees nothing of others, nor what belongs to no bot. */
function mayUse(request: FastifyRequest, botId: string | null): boolean {
  const { bots } = principalOf(request);
  return bots === null || (botId !== null && bots.has(botId));
}
