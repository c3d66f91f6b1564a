import { describe, expect, it } from 'vitest';
import { AppError, createManualClock, silentLogger } from '../../kernel/index.ts';
import type { ModelPrice } from '../../llm/index.ts';
import type { FrozenPrice, UsageRow } from '../../store/index.ts';
import { createUsageLedger, type NewUsage } from './usage-ledger.ts';

const price: ModelPrice = {
  id: 'acme/large@2026-01-31#1',
  model: 'acme/large',
  aliases: [],
  kind: 'chat',
  unitPrices: { input: 2, cachedInput: 1, output: 8 },
  asOf: '2026-01-31',
  source: 'Acme',
  origin: 'file',
};

const use = (changes: Partial<NewUsage> = {}): NewUsage => ({
  id: 'req_1',
  tenantId: 'tnt_1',
  botId: null,
  keyId: null,
  endUser: null,
  conversationId: null,
  answerId: null,
  kind: 'chat',
  model: 'acme/large',
  keyFingerprint: null,
  outcome: 'ok',
  errorCode: null,
  cache: null,
  calls: 1,
  requests: 1,
  inputTokens: 100,
  cachedInputTokens: 40,
  outputTokens: 10,
  usageSource: 'provider',
  firstTokenMs: null,
  durationMs: 5,
  createdAt: 0,
  ...changes,
});

function setUp(options: { readonly batchRows?: number; readonly mostRows?: number } = {}) {
  const clock = createManualClock();
  const writes: { rows: readonly UsageRow[]; prices: readonly FrozenPrice[] }[] = [];
  const failures: ((rows: readonly UsageRow[]) => Error | null)[] = [];
  const dropped: number[] = [];
  const ledger = createUsageLedger({
    store: {
      async add(rows, prices) {
        const failure = failures[0]?.(rows) ?? null;
        if (failure !== null) throw failure;
        writes.push({ rows, prices });
      },
    },
    prices: { find: (model) => (model === 'acme/large' ? price : null), refresh: async () => {} },
    clock,
    logger: silentLogger,
    meter: { count: (_name, _labels, amount = 1) => void dropped.push(amount), observe: () => {}, gauge: () => {} },
    ...options,
  });
  const written = () => writes.flatMap(({ rows }) => rows.map(({ id }) => id));
  const failWhile = (failing: (rows: readonly UsageRow[]) => Error | null) => {
    failures[0] = failing;
  };
  return { clock, ledger, writes, written, failWhile, dropped };
}

const away = new AppError('database_unavailable', 'away', { retryable: true });

describe('usage ledger', () => {
  it('writes all rows of a moment at once, with the price of the model', async () => {
    const { clock, ledger, writes } = setUp();
    for (let row = 0; row < 5; row += 1) ledger.record(use({ id: `req_${row}` }));
    expect(writes).toEqual([]);
    await clock.advance(50);
    expect(writes).toHaveLength(1);
    expect(writes[0]?.rows).toHaveLength(5);
    expect(writes[0]?.rows[0]).toMatchObject({ costNanoUsd: 60 * 2000 + 40 * 1000 + 10 * 8000, priceId: price.id });
    expect(writes[0]?.prices).toEqual([
      { id: price.id, model: 'acme/large', asOf: '2026-01-31', source: 'Acme', unitPrices: price.unitPrices },
    ]);
  });

  it('has no cost for a model without price, and a cost of 0 for what needed no call', async () => {
    const { ledger, writes } = setUp();
    ledger.record(use({ model: 'acme/unknown' }));
    ledger.record(use({ model: 'acme/unknown', calls: 0, cache: 'exact' }));
    await ledger.flush();
    expect(writes[0]?.rows.map(({ costNanoUsd }) => costNanoUsd)).toEqual([null, 0]);
    expect(writes[0]?.prices).toEqual([]);
  });

  it('does not wait once a batch is full', async () => {
    const { ledger, writes } = setUp({ batchRows: 3 });
    for (let row = 0; row < 3; row += 1) ledger.record(use());
    await ledger.flush();
    expect(writes.map(({ rows }) => rows.length)).toEqual([3]);
  });

  it('writes what is left when it stops', async () => {
    const { ledger, written } = setUp();
    ledger.record(use({ id: 'req_a' }));
    await ledger.stop();
    expect(written()).toEqual(['req_a']);
  });

  it('keeps rows while the database is away and writes them later, in order', async () => {
    const { clock, ledger, written, failWhile, dropped } = setUp();
    failWhile(() => away);
    ledger.record(use({ id: 'req_a' }));
    await clock.advance(50);
    ledger.record(use({ id: 'req_b' }));
    await ledger.flush();
    expect(written()).toEqual([]);
    failWhile(() => null);
    await clock.advance(1000);
    await ledger.flush();
    expect(written()).toEqual(['req_a', 'req_b']);
    expect(dropped).toEqual([]);
  });

  it('drops the oldest rows beyond its bound, and counts them', async () => {
    const { ledger, written, failWhile, dropped } = setUp({ mostRows: 2 });
    failWhile(() => away);
    for (const id of ['req_a', 'req_b', 'req_c']) ledger.record(use({ id }));
    await ledger.flush();
    expect(dropped).toEqual([1]);
    failWhile(() => null);
    await ledger.flush();
    expect(written()).toEqual(['req_b', 'req_c']);
  });

  it('drops a row that the database refuses, and that alone', async () => {
    const { ledger, written, failWhile, dropped } = setUp();
    failWhile((rows) => (rows.some(({ id }) => id === 'req_bad') ? new Error('constraint') : null));
    for (const id of ['req_a', 'req_bad', 'req_b']) ledger.record(use({ id }));
    await ledger.flush();
    expect(written()).toEqual(['req_a', 'req_b']);
    expect(dropped).toEqual([1]);
  });
});
