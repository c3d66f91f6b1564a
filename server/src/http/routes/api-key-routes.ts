import { AppError } from '../../kernel/index.ts';
import type { NewApiKey } from '../../security/index.ts';
import {
  deleted,
  idParams,
  listOf,
  listQuery,
  type NewApiKeyBody,
  newApiKey,
  wireApiKey,
  wireNewApiKey,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { keyLimitsOf, toWireApiKey } from '../mappers/api-key.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['API keys'];

/** The keys of a tenant. */
export function addApiKeyRoutes(app: ZodApp, { store, apiKeys }: HttpParts): void {
  app.post(
    '/v1/api_keys',
    {
      schema: {
        summary: 'Create an API key',
        description: 'The secret is in the answer and nowhere else.',
        tags,
        body: newApiKey,
        response: { 201: wireNewApiKey },
      },
    },
    async (request, reply) => {
      const actor = principalOf(request);
      const { key, secret } = await apiKeys.create(newKeyOf(request.body, actor.tenantId), actor);
      return reply.code(201).send({ ...toWireApiKey(key), secret });
    },
  );

  app.get(
    '/v1/api_keys',
    {
      schema: { summary: 'List API keys', tags, querystring: listQuery('key'), response: { 200: listOf(wireApiKey) } },
    },
    async (request) => {
      const keys = store.forTenant(principalOf(request).tenantId).apiKeys;
      return toWirePage(await keys.list(pageRequestOf(request.query)), toWireApiKey);
    },
  );

  app.delete(
    '/v1/api_keys/:id',
    { schema: { summary: 'Revoke an API key at once', tags, params: idParams, response: { 200: deleted('api_key') } } },
    async (request) => {
      const { id } = request.params;
      const revoked = await apiKeys.revoke(principalOf(request).tenantId, id);
      if (!revoked) throw new AppError('api_key_not_found', 'There is no such API key. List them: GET /v1/api_keys.');
      return { id, object: 'api_key.deleted' as const, deleted: true as const };
    },
  );
}

function newKeyOf(body: NewApiKeyBody, ownTenant: string): NewApiKey {
  return {
    name: body.name,
    tenantId: body.tenant ?? ownTenant,
    scopes: body.scopes,
    ...(body.bots === undefined ? {} : { bots: body.bots }),
    ...(body.origins === undefined ? {} : { origins: body.origins }),
    ...(body.expires_at === undefined ? {} : { expiresAt: body.expires_at * 1000 }),
    ...(body.limits === undefined ? {} : { limits: keyLimitsOf(body.limits) }),
  };
}
