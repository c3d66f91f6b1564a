import { createPriceFile } from '../adapters/file-system/index.ts';
import { createUsageLedger, type UsageLedger } from '../chat/index.ts';
import type { ListedPrice } from '../http/index.ts';
import type { Clock, Logger, Meter } from '../kernel/index.ts';
import { createPriceBook } from '../llm/index.ts';
import type { Store } from '../store/index.ts';
import type { Config } from './config.ts';

/** Prices and the ledger that charges by them. */
export function composeUsage({
  config,
  store,
  ...parts
}: {
  readonly config: Config;
  readonly store: Pick<Store, 'system'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}): { readonly ledger: UsageLedger; readonly listPrices: () => Promise<readonly ListedPrice[]> } {
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
  };
}
