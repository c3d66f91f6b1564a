import type { Page, PageRequest } from './page.ts';
import type { FrozenPrice, UsageFilter, UsageQuery, UsageRow, UsageSummary } from './usage-entities.ts';

/** What a tenant has used. */
export interface UsageRepository {
  /** Rows with the prices that they were charged by. */
  list(page: PageRequest & UsageFilter): Promise<Page<UsageRow & { readonly price: FrozenPrice | null }>>;
  /** Sums over rows, made by the database. */
  summarize(query: UsageQuery): Promise<UsageSummary>;
}

/** The ledger over all tenants. */
export interface UsageLedgerStore {
  /**
   * Adds rows of any tenants, and the prices that they name. Rows of tenants that are no more are left out. A loss of
   * power may undo the latest of them.
   */
  add(rows: readonly UsageRow[], prices: readonly FrozenPrice[]): Promise<void>;
  /** As of one tenant, over all of them. */
  summarize(query: UsageQuery): Promise<UsageSummary>;
}
