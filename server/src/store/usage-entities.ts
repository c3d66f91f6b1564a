/** One row for every upstream call, also failed and cancelled ones, and for every answer from a cache. */
export interface UsageRow {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string | null;
  readonly keyId: string | null;
  readonly endUser: string | null;
  readonly conversationId: string | null;
  /** The answer that the call was made for: the id of its message, also where no conversation keeps it. */
  readonly answerId: string | null;
  readonly kind: 'chat' | 'summary' | 'embedding';
  /** `provider/model`. */
  readonly model: string;
  /** Which of the provider's keys was used; null: none, or unknown. */
  readonly keyFingerprint: string | null;
  readonly outcome: 'ok' | 'failed' | 'cancelled';
  /** Of a failed call. */
  readonly errorCode: string | null;
  /** Which cache answered instead of a model; null: none did. */
  readonly cache: 'exact' | 'semantic' | null;
  /** Upstream calls that the row stands for: 1, or 0 when none was made. */
  readonly calls: number;
  /** 1 on one row of each request, 0 on the others that it caused: retries, fallbacks, summaries, query embeddings. */
  readonly requests: number;
  readonly inputTokens: number;
  /** Of the input: what the provider had in its cache. */
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  /** Who says so: the provider, or our own counter. */
  readonly usageSource: 'provider' | 'counted';
  /** In 1e-9 US dollars, at the price of that time; null: there was no price. */
  readonly costNanoUsd: number | null;
  /** The price that was charged, by its id; null: there was none. */
  readonly priceId: string | null;
  /** The template that the prompt was made from; absent: none was. */
  readonly promptVersion?: string;
  readonly firstTokenMs: number | null;
  readonly durationMs: number;
  readonly createdAt: number;
}

/** A price as it was when rows were charged by it: kept for good, so that every cost can be explained. */
export interface FrozenPrice {
  /** Of the entry and its content: other figures have another id. */
  readonly id: string;
  readonly model: string;
  readonly asOf: string;
  readonly source: string;
  /** US dollars per million tokens. */
  readonly unitPrices: {
    readonly input: number;
    readonly cachedInput?: number;
    readonly cacheWrite?: number;
    readonly output?: number;
  };
}

/** Which rows are meant; all that is absent does not matter. */
export interface UsageFilter {
  /** Milliseconds since 1970, this one included. */
  readonly from?: number;
  /** This one not included. */
  readonly until?: number;
  /** Of one of these bots; an empty list matches none. */
  readonly botIds?: readonly string[];
  readonly keyId?: string;
  readonly endUser?: string;
  readonly model?: string;
  readonly outcome?: UsageRow['outcome'];
  readonly kind?: UsageRow['kind'];
}

export type UsageDimension = 'tenant' | 'bot' | 'key' | 'user' | 'model' | 'day';

/** What a group has in common: a name in each dimension, '' for rows without one; days count from 1970-01-01. */
export type UsageGroupKey = readonly (string | number)[];

export interface UsageQuery extends UsageFilter {
  readonly groupBy: readonly UsageDimension[];
  /** By the names of the groups, in the order of the dimensions. */
  readonly order: 'asc' | 'desc';
  readonly limit: number;
  /** Only groups behind this one, or before that one. */
  readonly after?: UsageGroupKey;
  readonly before?: UsageGroupKey;
}

export interface UsageTotals {
  readonly requests: number;
  readonly calls: number;
  readonly failedCalls: number;
  readonly cachedAnswers: number;
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  /** Of what has a price; null: nothing has. */
  readonly costNanoUsd: number | null;
  /** Calls without a price: the cost is that of the others. */
  readonly unpricedCalls: number;
}

export interface UsageGroup extends UsageTotals {
  readonly key: UsageGroupKey;
}

export interface UsageSummary {
  readonly groups: readonly UsageGroup[];
  readonly hasMore: boolean;
  /** Of all groups, whatever page is shown. */
  readonly total: UsageTotals;
}
