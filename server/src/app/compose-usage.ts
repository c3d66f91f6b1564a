import { createPriceFile } from '../adapters/file-system/index.ts';
import { createUsageLedger, type UsageLedger } from '../chat/index.ts';
import type { EmbeddingCall } from '../embeddings/index.ts';
import type { ListedPrice } from '../http/index.ts';
import type { Clock, IdMaker, Logger, Meter } from '../kernel/index.ts';
import { createPriceBook, type TokenCounter } from '../llm/index.ts';
import type { BotKey, Store } from '../store/index.ts';
import type { Config } from './config.ts';

export interface ComposedUsage {
  readonly ledger: UsageLedger;
  readonly listPrices: () => Promise<readonly ListedPrice[]>;
  /** Takes down a call to a remote embedder that training has made for a bot. */
  readonly onEmbedding: (bot: BotKey, call: EmbeddingCall) => void;
}

/** Prices and the ledger that charges by them. */
export function composeUsage({
  config,
  store,
  counter,
  createId,
  ...parts
}: {
  readonly config: Config;
  readonly store: Pick<Store, 'system'>;
  readonly counter: TokenCounter;
  readonly createId: IdMaker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}): ComposedUsage {
  const file = config.modelPricesFile === null ? null : createPriceFile(config.modelPricesFile);
  const prices = createPriceBook({ ...parts, file });
  const ledger = createUsageLedger({ ...parts, store: store.system.usage, prices });
  return {
    ledger: {
      ...ledger,
      // A file with faults is complained of at the start, not at the first call.
      start: () => prices.refresh(),
    },
    async listPrices() {
      await prices.refresh();
      return prices.list();
    },
    onEmbedding({ tenantId, botId }, { texts, inputTokens, ...call }) {
      const counted = (): number => texts.reduce((sum, text) => sum + counter.count(text), 0);
      ledger.record({
        ...call,
        ...{ id: createId('req'), tenantId, botId, createdAt: parts.clock.now() },
        ...{ keyId: null, endUser: null, conversationId: null, answerId: null, keyFingerprint: null },
        ...{ kind: 'embedding', cache: null, calls: 1, requests: 0, firstTokenMs: null },
        ...{ inputTokens: inputTokens ?? counted(), cachedInputTokens: 0, outputTokens: 0 },
        usageSource: inputTokens === null ? 'counted' : 'provider',
      });
    },
  };
}
