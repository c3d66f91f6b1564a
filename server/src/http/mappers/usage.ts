import { AppError } from '../../kernel/index.ts';
import type {
  FrozenPrice,
  UsageDimension,
  UsageGroup,
  UsageGroupKey,
  UsageRow,
  UsageTotals,
} from '../../store/index.ts';
import type { WirePrice, WireUsageCall, WireUsageGroup, WireUsageReport } from '../contract/index.ts';
import type { ListedPrice } from '../http-app-options.ts';
import { toSeconds } from './time.ts';

const DAY_MS = 86_400_000;
const UNIT = 'USD per million tokens';

export function toWireTotals(totals: UsageTotals): WireUsageReport['total'] {
  return {
    requests: totals.requests,
    calls: totals.calls,
    failed_calls: totals.failedCalls,
    cached_answers: totals.cachedAnswers,
    input_tokens: totals.inputTokens,
    cached_input_tokens: totals.cachedInputTokens,
    output_tokens: totals.outputTokens,
    total_tokens: totals.inputTokens + totals.outputTokens,
    cost_usd: totals.costNanoUsd === null && totals.unpricedCalls === 0 ? 0 : toUsd(totals.costNanoUsd),
    unpriced_calls: totals.unpricedCalls,
  };
}

export function toWireUsageGroup(group: UsageGroup, groupBy: readonly UsageDimension[]): WireUsageGroup {
  const names = groupBy.map((dimension, position) => [dimension, nameOf(dimension, group.key[position] ?? '')]);
  return { id: toCursor(group.key), object: 'usage.group', ...Object.fromEntries(names), ...toWireTotals(group) };
}

function nameOf(dimension: UsageDimension, value: string | number): string | null {
  if (dimension === 'day') return new Date(Number(value) * DAY_MS).toISOString().slice(0, 10);
  return value === '' ? null : String(value);
}

function toCursor(key: UsageGroupKey): string {
  return `usg_${Buffer.from(JSON.stringify(key)).toString('base64url')}`;
}

/** The group that a cursor stands for. Throws `invalid_request` when it is of another list. */
export function groupKeyOf(
  cursor: string,
  { param, groupBy }: { readonly param: 'after' | 'before'; readonly groupBy: readonly UsageDimension[] },
): UsageGroupKey {
  const key = parsed(Buffer.from(cursor.slice('usg_'.length), 'base64url').toString());
  const fits =
    Array.isArray(key) &&
    key.length === groupBy.length &&
    groupBy.every((dimension, position) => typeof key[position] === (dimension === 'day' ? 'number' : 'string'));
  if (fits) return key;
  throw new AppError(
    'invalid_request',
    `${param}: A cursor is the id of a group of this list, grouped in the same way.`,
    {
      param,
    },
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function toWireUsageCall({ price, ...row }: UsageRow & { readonly price: FrozenPrice | null }): WireUsageCall {
  return {
    id: row.id,
    object: 'usage.call',
    bot: row.botId,
    key: row.keyId,
    user: row.endUser,
    conversation: row.conversationId,
    prompt_version: row.promptVersion ?? null,
    message: row.answerId,
    kind: row.kind,
    provider: row.model.slice(0, Math.max(0, row.model.indexOf('/'))),
    model: row.model,
    key_fingerprint: row.keyFingerprint,
    outcome: row.outcome,
    error_code: row.errorCode,
    cache: row.cache,
    calls: row.calls,
    requests: row.requests,
    input_tokens: row.inputTokens,
    cached_input_tokens: row.cachedInputTokens,
    output_tokens: row.outputTokens,
    usage_source: row.usageSource,
    cost_usd: toUsd(row.costNanoUsd),
    price:
      price === null
        ? null
        : { id: price.id, as_of: price.asOf, source: price.source, ...toWireUnitPrices(price.unitPrices) },
    first_token_ms: row.firstTokenMs,
    duration_ms: row.durationMs,
    created_at: toSeconds(row.createdAt),
  };
}

export function toWirePrice(price: ListedPrice): WirePrice {
  return {
    id: price.id,
    object: 'price',
    model: price.model,
    aliases: price.aliases,
    kind: price.kind,
    ...toWireUnitPrices(price.unitPrices),
    as_of: price.asOf,
    source: price.source,
    origin: price.origin,
  };
}

function toWireUnitPrices({ input, cachedInput, cacheWrite, output }: FrozenPrice['unitPrices']) {
  return {
    unit: UNIT,
    input,
    cached_input: cachedInput ?? null,
    cache_write: cacheWrite ?? null,
    output: output ?? null,
  } as const;
}

function toUsd(nanoUsd: number): number;
function toUsd(nanoUsd: number | null): number | null;
function toUsd(nanoUsd: number | null): number | null {
  return nanoUsd === null ? null : nanoUsd / 1e9;
}
