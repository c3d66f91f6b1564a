import type { FastifyReply, FastifyRequest } from 'fastify';
import { headerOf } from './request-context.ts';

const REQUEST_HEADERS =
  'authorization, content-type, idempotency-key, last-event-id, x-request-id, x-chatsphere-cache, x-chatsphere-tenant';
const EXPOSED_HEADERS =
  'x-request-id, retry-after, x-should-retry, ratelimit-limit, ratelimit-remaining, ratelimit-reset, idempotency-replayed, x-chatsphere-message, x-vercel-ai-ui-message-stream, x-chatsphere-served-by, x-chatsphere-cache, x-chatsphere-attempts, x-chatsphere-overhead-ms, x-chatsphere-degraded';

/** Lets a page that the caller's key is bound to read the answer. */
export function exposeTo(origin: string, reply: FastifyReply): void {
  reply.headers({ 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED_HEADERS });
}

/**
 * Answers a browser that asks before it sends. It does not send the key then, so any page may send the request
 * itself; there the key decides. Cookies are never used, and credentials never allowed.
 */
export function answerOptions(request: FastifyRequest, reply: FastifyReply, methods: readonly string[]): void {
  const origin = headerOf(request, 'origin');
  const allowed = methods.join(', ');
  reply.code(204).header('allow', allowed);
  if (origin !== undefined && headerOf(request, 'access-control-request-method') !== undefined) {
    reply.headers({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': allowed,
      'access-control-allow-headers': REQUEST_HEADERS,
      'access-control-max-age': '600',
    });
  }
  reply.send();
}
