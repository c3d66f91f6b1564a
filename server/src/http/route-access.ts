import type { ApiKeyScope } from '../store/index.ts';

/**
 * Who may use a route. `key`: a key with one of the scopes `anyOf`, and with all of `allOf` besides. `bootstrap-admin`: the server's own admin key.
 * `metrics`: this machine, or a key with the `metrics` scope.
 */
export type RouteAccess =
  | { readonly type: 'public' }
  | {
      readonly type: 'key';
      readonly anyOf: readonly [ApiKeyScope, ...ApiKeyScope[]];
      readonly allOf?: readonly ApiKeyScope[];
    }
  | {
      readonly type: 'bootstrap-admin';
      /** For people: the key may also come as the password that a browser asks for. */
      readonly inBrowser?: true;
    }
  | { readonly type: 'metrics' };

const anyone: RouteAccess = { type: 'public' };
const admin: RouteAccess = { type: 'bootstrap-admin' };

function scope(...anyOf: [ApiKeyScope, ...ApiKeyScope[]]): Extract<RouteAccess, { readonly type: 'key' }> {
  return { type: 'key', anyOf };
}

/** Below it is the board of the queue. */
export const QUEUE_BOARD_PATH = '/admin/queues';

/**
 * Every route and who may use it. A route that is not in this table cannot be registered. Conversations need a `bots:`
 * scope and not `chat`: a key that sits in a public page must not read what others asked.
 */
export const ROUTE_ACCESS: Readonly<Record<string, RouteAccess>> = {
  'GET /': anyone,
  'GET /assets/:file': anyone,
  'GET /health': anyone,
  'GET /healthz': anyone,
  'GET /ready': anyone,
  'GET /readyz': anyone,
  'GET /openapi.json': anyone,
  'GET /docs/errors': anyone,
  'GET /metrics': { type: 'metrics' },

  [`GET ${QUEUE_BOARD_PATH}`]: { type: 'bootstrap-admin', inBrowser: true },
  [`GET ${QUEUE_BOARD_PATH}/*`]: { type: 'bootstrap-admin', inBrowser: true },

  'POST /v1/tenants': admin,
  'GET /v1/tenants': admin,
  'GET /v1/tenants/:id': admin,
  'PATCH /v1/tenants/:id': admin,
  'DELETE /v1/tenants/:id': admin,

  'POST /v1/bots': scope('bots:write'),
  'GET /v1/bots': scope('bots:read'),
  'GET /v1/bots/:bot': scope('bots:read'),
  'PATCH /v1/bots/:bot': scope('bots:write'),
  'DELETE /v1/bots/:bot': scope('bots:write'),

  // A bundle holds all that the sources hold.
  'GET /v1/bots/:bot/export': { ...scope('bots:read'), allOf: ['sources:read'] },
  'POST /v1/bots/import': { ...scope('bots:write'), allOf: ['sources:write'] },
  'GET /v1/bots/:bot/generations': scope('bots:read'),
  'POST /v1/bots/:bot/generations': scope('bots:write'),
  'GET /v1/bots/:bot/generations/:id': scope('bots:read'),
  'POST /v1/bots/:bot/generations/:id/activate': scope('bots:write'),
  'POST /v1/bots/:bot/generations/rollback': scope('bots:write'),
  'DELETE /v1/bots/:bot/generations/:id': scope('bots:write'),
  'POST /v1/bots/:bot/golden_questions': scope('bots:write'),
  'GET /v1/bots/:bot/golden_questions': scope('bots:read'),
  'DELETE /v1/bots/:bot/golden_questions/:id': scope('bots:write'),

  'POST /v1/bots/:bot/sources': scope('sources:write'),
  'PUT /v1/bots/:bot/sources/by-key/:external_key': scope('sources:write'),
  'GET /v1/bots/:bot/sources': scope('sources:read'),
  'GET /v1/bots/:bot/sources/:id': scope('sources:read'),
  'DELETE /v1/bots/:bot/sources/:id': scope('sources:write'),
  'POST /v1/bots/:bot/sources/:id/sync': scope('sources:write'),
  'GET /v1/bots/:bot/sources/:id/documents': scope('sources:read'),
  'GET /v1/bots/:bot/duplicates': scope('sources:read'),
  'POST /v1/bots/:bot/sync_runs': scope('sources:write'),
  'GET /v1/bots/:bot/sync_runs': scope('sources:read'),
  'GET /v1/bots/:bot/sync_runs/:id': scope('sources:read'),
  'POST /v1/bots/:bot/sync_runs/:id/sources': scope('sources:write'),
  'POST /v1/bots/:bot/sync_runs/:id/commit': scope('sources:write'),
  'POST /v1/bots/:bot/sync_runs/:id/cancel': scope('sources:write'),
  'GET /v1/documents/:id': scope('sources:read'),
  'GET /v1/documents/:id/chunks': scope('sources:read'),

  'GET /v1/jobs': scope('sources:read'),
  'POST /v1/jobs/retry': scope('sources:write'),
  'GET /v1/workers': admin,
  'GET /v1/jobs/:id': scope('sources:read'),
  'GET /v1/jobs/:id/events': scope('sources:read'),
  'POST /v1/jobs/:id/cancel': scope('sources:write'),
  'POST /v1/jobs/:id/retry': scope('sources:write'),

  'POST /v1/bots/:bot/search': scope('search'),
  // Shows instructions and passages.
  'GET /v1/bots/:bot/prompts': scope('bots:read'),
  'POST /v1/bots/:bot/prompt_preview': { ...scope('bots:read'), allOf: ['search'] },
  'POST /v1/chat/completions': scope('chat'),
  'POST /v1/bots/:bot/chat': scope('chat'),
  'GET /v1/bots/:bot/chat/:chat/stream': scope('chat'),
  'GET /v1/messages/:id/stream': scope('chat', 'bots:read'),
  'POST /v1/messages/:id/stop': scope('chat', 'bots:write'),
  'POST /v1/embeddings': scope('search'),
  'GET /v1/usage': scope('usage:read'),
  'GET /v1/usage/calls': scope('usage:read'),
  'GET /v1/prices': scope('usage:read', 'bots:read'),
  'GET /v1/models': scope('chat', 'search', 'bots:read'),
  'GET /v1/models/:id': scope('chat', 'search', 'bots:read'),
  'GET /v1/models/*': scope('chat', 'search', 'bots:read'),

  'GET /v1/conversations': scope('bots:read'),
  'GET /v1/conversations/:id': scope('bots:read'),
  'DELETE /v1/conversations/:id': scope('bots:write'),
  'GET /v1/conversations/:id/messages': scope('bots:read'),

  'POST /v1/api_keys': scope('keys'),
  'GET /v1/api_keys': scope('keys'),
  'DELETE /v1/api_keys/:id': scope('keys'),
};

/** Who may use the route, by method and pattern; null when the table does not know it. HEAD is as GET. */
export function accessOf(method: string, pattern: string): RouteAccess | null {
  const reading = method === 'HEAD' ? 'GET' : method;
  return isDocumentation(pattern) ? anyone : (ROUTE_ACCESS[`${reading} ${pattern}`] ?? null);
}

/** Routes that the documentation plugin adds itself: the page and its files. */
export function isDocumentation(pattern: string): boolean {
  return pattern !== '/docs/errors' && (pattern === '/docs' || pattern.startsWith('/docs/'));
}
