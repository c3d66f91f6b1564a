import type { FastifyReply } from 'fastify';
import type { Admission } from '../security/index.ts';

const OPENAI_ROUTES: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/embeddings',
  '/v1/models',
  '/v1/models/:id',
  '/v1/models/*',
]);

/** What is left of the caller's limit: the `ratelimit-*` headers, and OpenAI's own on its routes. */
export function setRateLimitHeaders(reply: FastifyReply, admission: Admission, pattern: string): void {
  const { limit, remaining, resetMs } = admission;
  if (limit === null || remaining === null || resetMs === null) return;
  const seconds = Math.ceil(resetMs / 1000);
  reply.headers({
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(seconds),
  });
  if (!OPENAI_ROUTES.has(pattern)) return;
  reply.headers({
    'x-ratelimit-limit-requests': String(limit),
    'x-ratelimit-remaining-requests': String(remaining),
    'x-ratelimit-reset-requests': `${seconds}s`,
  });
}
