import { readFileSync } from 'node:fs';
import type { Clock, Logger } from '../../kernel/index.ts';
import type { ModelPrice } from './model-price.ts';
import { createPriceLookup } from './price-lookup.ts';
import { readPriceTable } from './price-table.ts';

/** Where the operator's own prices are read from. */
export interface PriceFile {
  readonly path: string;
  /** The text when it differs from what was last read (at first, always); null: it is as it was. Rejects when it cannot be read. */
  readIfChanged(): Promise<string | null>;
}

/** What models cost, now. */
export interface PriceBook {
  /** The price of `provider/model`; null: nobody knows, which is not 0. */
  find(model: string): ModelPrice | null;
  list(): readonly ModelPrice[];
  /**
   * Takes over changes of the operator's file. A file that cannot be read or is no price table leaves the prices as they
   * were, and is logged once; bad entries are left out and logged. Never rejects.
   */
  refresh(): Promise<void>;
}

export interface PriceBookOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
  /** Its entries come over those that the server brings along. Null: none. */
  readonly file?: PriceFile | null;
}

const BUILT_IN = new URL('./assets/model-prices.json', import.meta.url);

/** The prices that come with the server, with the operator's over them. */
export function createPriceBook({ clock, logger, file = null }: PriceBookOptions): PriceBook {
  const builtIn = usable(JSON.parse(readFileSync(BUILT_IN, 'utf8')), 'built-in');
  let prices = builtIn ?? [];
  let find = createPriceLookup(prices);
  let complaint: string | null = null;
  let refreshing: Promise<void> | null = null;

  function usable(json: unknown, origin: ModelPrice['origin']): readonly ModelPrice[] | null {
    const table = readPriceTable(json, { origin, now: clock.now() });
    const where = origin === 'file' ? file?.path : 'built-in price table';
    for (const fault of table.faults) {
      if (table.prices !== null)
        logger.warn({ where, fault }, 'a price was left out: models it is for have none from here');
    }
    if (table.prices === null) throw new Error(table.faults.join('; '));
    return table.prices;
  }

  async function readFile(from: PriceFile): Promise<void> {
    try {
      const text = await from.readIfChanged();
      complaint = text === null ? complaint : null;
      if (text === null) return;
      const own = usable(JSON.parse(text), 'file') ?? [];
      const names = new Set(own.flatMap(({ model, aliases }) => [model, ...aliases]));
      prices = [...(builtIn ?? []).filter(({ model }) => !names.has(model)), ...own];
      find = createPriceLookup(prices);
      logger.info({ file: from.path, prices: own.length }, 'prices read');
    } catch (err) {
      const said = err instanceof Error ? err.message : String(err);
      if (said === complaint) return;
      complaint = said;
      logger.error({ file: from.path, err }, 'the price file cannot be used; prices stay as they were');
    }
  }

  return {
    find: (model) => find(model),
    list: () => prices,
    async refresh() {
      if (file === null) return;
      refreshing ??= readFile(file).finally(() => {
        refreshing = null;
      });
      await refreshing;
    },
  };
}
