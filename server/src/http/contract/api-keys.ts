import { z } from 'zod';
import { line, unixSeconds } from './text.ts';

export const apiKeyScope = z.enum([
  'chat',
  'search',
  'sources:read',
  'sources:write',
  'bots:read',
  'bots:write',
  'keys',
  'usage:read',
  'privacy',
  'metrics',
  'admin',
]);

const keyLimits = z.strictObject({
  requests_per_minute: z.number().int().min(1).max(1_000_000).optional(),
  tokens_per_minute: z.number().int().min(1).max(1_000_000_000).optional(),
  concurrent: z.number().int().min(1).max(10_000).optional(),
});

/** An origin as a browser sends it: scheme, host and port, nothing else. */
const origin = z
  .string()
  .max(300)
  .regex(/^https?:\/\/(?:\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/, {
    error: 'An origin is scheme, host and port in lower case, such as https://www.example.com, without a path.',
  });

export const newApiKey = z.strictObject({
  name: line(200),
  tenant: line(64).optional().describe('Only the admin key may name a tenant.'),
  scopes: z.array(apiKeyScope).min(1).max(20),
  bots: z.array(line(200)).min(1).max(100).optional().describe('Ids or slugs; left out: every bot of the tenant.'),
  origins: z.array(origin).min(1).max(50).optional().describe('Web pages that may use the key from a browser.'),
  expires_at: unixSeconds.min(0).max(253_402_300_799).optional(),
  limits: keyLimits.optional(),
});

export type NewApiKeyBody = z.infer<typeof newApiKey>;

export const wireApiKey = z
  .strictObject({
    id: z.string(),
    object: z.literal('api_key'),
    tenant: z.string(),
    name: z.string(),
    hint: z.string().describe('First and last characters of the secret.'),
    scopes: z.array(apiKeyScope).readonly(),
    bots: z.array(z.string()).readonly().nullable(),
    origins: z.array(z.string()).readonly().nullable(),
    limits: keyLimits,
    expires_at: unixSeconds.nullable(),
    revoked_at: unixSeconds.nullable(),
    last_used_at: unixSeconds.nullable(),
    created_at: unixSeconds,
  })
  .meta({ id: 'ApiKey' });

export const wireNewApiKey = wireApiKey
  .extend({ secret: z.string().describe('Shown this once only.') })
  .meta({ id: 'ApiKeyWithSecret' });

export type WireApiKey = z.infer<typeof wireApiKey>;
export type WireNewApiKey = z.infer<typeof wireNewApiKey>;
