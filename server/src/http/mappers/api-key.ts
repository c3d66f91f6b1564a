import type { ApiKey } from '../../store/index.ts';
import type { NewApiKeyBody, WireApiKey } from '../contract/index.ts';
import { toSeconds } from './time.ts';

export function toWireApiKey(key: ApiKey): WireApiKey {
  const { requestsPerMinute, tokensPerMinute, concurrent } = key.limits;
  return {
    id: key.id,
    object: 'api_key',
    tenant: key.tenantId,
    name: key.name,
    hint: key.hint,
    scopes: key.scopes,
    bots: key.bots,
    origins: key.origins,
    limits: {
      ...(requestsPerMinute === undefined ? {} : { requests_per_minute: requestsPerMinute }),
      ...(tokensPerMinute === undefined ? {} : { tokens_per_minute: tokensPerMinute }),
      ...(concurrent === undefined ? {} : { concurrent }),
    },
    expires_at: toSeconds(key.expiresAt),
    revoked_at: toSeconds(key.revokedAt),
    last_used_at: toSeconds(key.lastUsedAt),
    created_at: toSeconds(key.createdAt),
  };
}

export function keyLimitsOf(body: NonNullable<NewApiKeyBody['limits']>): ApiKey['limits'] {
  return {
    ...(body.requests_per_minute === undefined ? {} : { requestsPerMinute: body.requests_per_minute }),
    ...(body.tokens_per_minute === undefined ? {} : { tokensPerMinute: body.tokens_per_minute }),
    ...(body.concurrent === undefined ? {} : { concurrent: body.concurrent }),
  };
}
