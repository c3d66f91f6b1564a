/** What is fetched for a source of the web, and when. */
export interface WebSource {
  /** Patterns that addresses must match; empty: all do. */
  readonly include: readonly string[];
  /** Patterns of addresses that are left out. */
  readonly exclude: readonly string[];
  readonly maxPages: number;
  /** Null: fetched only when asked. */
  readonly syncIntervalMs: number | null;
  readonly lastSyncedAt: number | null;
  readonly nextSyncAt: number | null;
}
