import type { EmbeddingUse, NewUsage } from '../chat/index.ts';
import type { Principal } from '../security/index.ts';
import type { HttpParts } from './http-app-options.ts';

/** Takes down a call to an embedder that a route has made. `requests`: 1 when the call is what was asked for. */
export function recordEmbedding(
  { ledger, createId, clock }: Pick<HttpParts, 'ledger' | 'createId' | 'clock'>,
  { tenantId, keyId }: Pick<Principal, 'tenantId' | 'keyId'>,
  call: Pick<NewUsage, 'botId' | 'endUser' | 'requests'> & { readonly use: Omit<EmbeddingUse, 'text'> },
): void {
  const { use, ...owner } = call;
  ledger.record({
    id: createId('req'),
    tenantId,
    keyId,
    ...owner,
    ...use,
    inputTokens: use.inputTokens ?? 0,
    usageSource: use.inputTokens === null ? 'counted' : 'provider',
    conversationId: null,
    answerId: null,
    kind: 'embedding',
    keyFingerprint: null,
    cache: null,
    calls: 1,
    cachedInputTokens: 0,
    outputTokens: 0,
    firstTokenMs: null,
    createdAt: clock.now(),
  });
}
