import { type Clock, type Lifecycle, type Logger, type Meter, toAppError } from '../../kernel/index.ts';
import { costInNanoUsd, type ModelPrice, type PriceBook } from '../../llm/index.ts';
import type { FrozenPrice, UsageLedgerStore, UsageRow } from '../../store/index.ts';

/** A row before it has a price. */
export type NewUsage = Omit<UsageRow, 'costNanoUsd' | 'priceId'> & { readonly cacheWriteTokens?: number };

/** Takes down what was used, off the hot path. */
export interface UsageLedger extends Lifecycle {
  /** Remembers a row; it is priced and written within moments. Never fails and never waits. */
  record(usage: NewUsage): void;
  /** Resolves once everything recorded so far is written, or could not be. */
  flush(): Promise<void>;
}

export interface UsageLedgerOptions {
  readonly store: Pick<UsageLedgerStore, 'add'>;
  readonly prices: Pick<PriceBook, 'find' | 'refresh'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** How long rows wait for others to be written with. Default 50. A crash loses at most these. */
  readonly windowMs?: number;
  /** So many rows are written at once, without waiting. Default 100. */
  readonly batchRows?: number;
  /** More rows than these are not kept while the database is away: the oldest go. Default 20,000. */
  readonly mostRows?: number;
}

const RETRY_MS = 1000;

/**
 * A ledger that writes rows in batches: one transaction for all that came within 50 ms, or for each 100 rows. Rows get
 * the price of the moment in which they are written. While the database is away they wait, up to a bound; what is
 * dropped is logged and counted. Stopping writes what is left.
 */
export function createUsageLedger(options: UsageLedgerOptions): UsageLedger {
  const { clock, logger, meter, windowMs = 50, batchRows = 100, mostRows = 20_000 } = options;
  let waiting: NewUsage[] = [];
  let timer: AbortController | null = null;
  let writing: Promise<boolean> | null = null;
  let stopped = false;
  let pausedUntil = 0;

  function record(usage: NewUsage): void {
    waiting.push(usage);
    if (waiting.length > mostRows) drop(waiting.length - mostRows);
    if (waiting.length >= batchRows && writing === null && !isPaused()) void write();
    else wait(windowMs);
  }

  const isPaused = (): boolean => clock.now() < pausedUntil;

  function drop(rows: number): void {
    waiting = waiting.slice(rows);
    meter.count('chatsphere_usage_rows_dropped_total', {}, rows);
    logger.error({ rows }, 'usage rows were dropped: the database has been away for too long');
  }

  /** One timer at a time; a write under way sets the next one itself. */
  function wait(milliseconds: number): void {
    if (timer !== null || writing !== null || stopped) return;
    const own = new AbortController();
    timer = own;
    clock.sleep(milliseconds, own.signal).then(
      () => {
        timer = null;
        void write();
      },
      () => {},
    );
  }

  /** Whether all rows that waited are written. */
  function write(): Promise<boolean> {
    timer?.abort('written');
    timer = null;
    writing ??= writeBatch().finally(() => {
      writing = null;
      if (waiting.length > 0) wait(isPaused() ? RETRY_MS : windowMs);
    });
    return writing;
  }

  async function writeBatch(): Promise<boolean> {
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return true;
    try {
      await options.prices.refresh();
      await add(batch);
      return true;
    } catch (err) {
      if (!isAway(err)) return addSingly(batch);
      logger.error({ rows: batch.length, err }, 'usage rows could not be written; will try again');
      pausedUntil = clock.now() + RETRY_MS;
      waiting = [...batch, ...waiting];
      if (waiting.length > mostRows) drop(waiting.length - mostRows);
      return false;
    }
  }

  async function add(batch: readonly NewUsage[]): Promise<void> {
    const prices = new Map<string, FrozenPrice>();
    const rows = batch.map((usage) => priced(usage, options.prices, prices));
    await options.store.add(rows, [...prices.values()]);
  }

  /** One row that the database refuses must not keep the others out. */
  async function addSingly(batch: readonly NewUsage[]): Promise<boolean> {
    for (const usage of batch) {
      await add([usage]).catch((err: unknown) => {
        meter.count('chatsphere_usage_rows_dropped_total', {});
        logger.error({ usage, err }, 'a usage row was refused by the database and is dropped');
      });
    }
    return true;
  }

  async function flush(): Promise<void> {
    if (writing !== null) await writing;
    if (waiting.length > 0) await write();
  }

  return {
    name: 'usage ledger',
    record,
    flush,
    async start() {},
    async stop() {
      stopped = true;
      timer?.abort('written');
      timer = null;
      await flush();
      if (waiting.length > 0) drop(waiting.length);
    },
  };
}

function isAway(error: unknown): boolean {
  const { code } = toAppError(error);
  return code === 'database_unavailable' || code === 'storage_full';
}

/** The row with what it costs; the price is noted for the store. */
function priced(
  { cacheWriteTokens, ...usage }: NewUsage,
  book: Pick<PriceBook, 'find'>,
  prices: Map<string, FrozenPrice>,
): UsageRow {
  if (usage.calls === 0) return { ...usage, costNanoUsd: 0, priceId: null };
  const price = book.find(usage.model);
  if (price === null) return { ...usage, costNanoUsd: null, priceId: null };
  prices.set(price.id, toFrozenPrice(price));
  const tokens = { ...usage, ...(cacheWriteTokens === undefined ? {} : { cacheWriteTokens }) };
  return { ...usage, costNanoUsd: costInNanoUsd(price, tokens), priceId: price.id };
}

function toFrozenPrice({ id, model, asOf, source, unitPrices }: ModelPrice): FrozenPrice {
  return { id, model, asOf, source, unitPrices };
}
