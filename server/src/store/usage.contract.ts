import { beforeAll, describe, expect, it } from 'vitest';
import type { Store } from './ports.ts';
import { createSamples } from './store-samples.contract.ts';
import type { FrozenPrice, UsageQuery, UsageRow } from './usage-entities.ts';

const DAY_MS = 86_400_000;
const FIRST_DAY = 20_000;
const samples = createSamples('usg');

/** What every store must do with usage rows. */
export function describeUsageContract(name: string, open: () => Promise<Store>): void {
  describe(`usage in ${name}`, () => {
    let store: Store;
    let tenantId: string;

    const row = (changes: Partial<UsageRow> = {}): UsageRow => ({
      ...samples.usage(),
      tenantId,
      inputTokens: 10,
      cachedInputTokens: 4,
      outputTokens: 1,
      costNanoUsd: 7,
      createdAt: FIRST_DAY * DAY_MS,
      ...changes,
    });
    const summarize = (query: Partial<UsageQuery> = {}) =>
      store.forTenant(tenantId).usage.summarize({ groupBy: [], limit: 100, order: 'asc', ...query });

    beforeAll(async () => {
      store = await open();
      const tenant = samples.tenant();
      await store.tenants.create(tenant);
      tenantId = tenant.id;
      await store.system.usage.add(
        [
          row({ botId: 'bot_a', model: 'x/one', endUser: 'u1' }),
          row({
            botId: 'bot_a',
            model: 'x/two',
            outcome: 'failed',
            costNanoUsd: null,
            requests: 0,
            errorCode: 'provider_error',
          }),
          row({ botId: 'bot_b', model: 'x/one', keyId: 'key_1', createdAt: (FIRST_DAY + 1) * DAY_MS - 1 }),
          row({ botId: 'bot_b', model: 'x/one', keyId: 'key_1', createdAt: (FIRST_DAY + 1) * DAY_MS }),
          row({
            botId: null,
            model: 'x/one',
            cache: 'exact',
            calls: 0,
            inputTokens: 0,
            cachedInputTokens: 0,
            outputTokens: 0,
            costNanoUsd: 0,
          }),
        ],
        [],
      );
    });

    it('is summed up', async () => {
      expect(await summarize()).toEqual({
        groups: [],
        hasMore: false,
        total: {
          requests: 4,
          calls: 4,
          failedCalls: 1,
          cachedAnswers: 1,
          inputTokens: 40,
          cachedInputTokens: 16,
          outputTokens: 4,
          costNanoUsd: 21,
          unpricedCalls: 1,
        },
      });
    });

    it('is nothing when nothing is meant', async () => {
      const nothing = { requests: 0, calls: 0, inputTokens: 0, costNanoUsd: null, unpricedCalls: 0 };
      expect((await summarize({ botIds: [] })).total).toMatchObject(nothing);
      expect((await summarize({ groupBy: ['bot'], model: 'x/none' })).groups).toEqual([]);
    });

    it.each([
      [{ from: (FIRST_DAY + 1) * DAY_MS }, 1],
      [{ until: (FIRST_DAY + 1) * DAY_MS }, 3],
      [{ botIds: ['bot_a'] }, 2],
      [{ botIds: ['bot_a', 'bot_b'] }, 4],
      [{ keyId: 'key_1' }, 2],
      [{ endUser: 'u1' }, 1],
      [{ model: 'x/two' }, 1],
      [{ outcome: 'failed' as const }, 1],
      [{ kind: 'embedding' as const }, 0],
    ])('is filtered by %j', async (filter, calls) => {
      expect((await summarize(filter)).total.calls).toBe(calls);
    });

    it('is grouped by each dimension', async () => {
      const keys = async (...groupBy: UsageQuery['groupBy']) =>
        (await summarize({ groupBy })).groups.map(({ key, calls }) => [...key, calls]);
      expect(await keys('tenant')).toEqual([[tenantId, 4]]);
      expect(await keys('bot')).toEqual([
        ['', 0],
        ['bot_a', 2],
        ['bot_b', 2],
      ]);
      expect(await keys('key')).toEqual([
        ['', 2],
        ['key_1', 2],
      ]);
      expect(await keys('user')).toEqual([
        ['', 3],
        ['u1', 1],
      ]);
      expect(await keys('model')).toEqual([
        ['x/one', 3],
        ['x/two', 1],
      ]);
      expect(await keys('day')).toEqual([
        [FIRST_DAY, 3],
        [FIRST_DAY + 1, 1],
      ]);
      expect(await keys('day', 'bot')).toEqual([
        [FIRST_DAY, '', 0],
        [FIRST_DAY, 'bot_a', 2],
        [FIRST_DAY, 'bot_b', 1],
        [FIRST_DAY + 1, 'bot_b', 1],
      ]);
    });

    it.each(['asc', 'desc'] as const)('is read page by page, %s and back', async (order) => {
      const query = { groupBy: ['day', 'bot'] as const, order };
      const all = (await summarize(query)).groups.map(({ key }) => key);
      expect(all).toHaveLength(4);
      const first = await summarize({ ...query, limit: 3 });
      expect(first).toMatchObject({ hasMore: true, groups: all.slice(0, 3).map((key) => ({ key })) });
      const last = await summarize({ ...query, limit: 3, ...after(first.groups.at(-1)?.key) });
      expect(last).toMatchObject({ hasMore: false, groups: [{ key: all[3] }] });
      const back = await summarize({ ...query, limit: 2, before: all[3] ?? [] });
      expect(back).toMatchObject({ hasMore: true, groups: all.slice(1, 3).map((key) => ({ key })) });
    });

    const after = (key: readonly (string | number)[] | undefined) => (key === undefined ? {} : { after: key });

    it('keeps the price that a row was charged by, once for all rows', async () => {
      const tenant = samples.tenant();
      await store.tenants.create(tenant);
      const price: FrozenPrice = {
        id: 'x/one@2026-01-31#1',
        model: 'x/one',
        asOf: '2026-01-31',
        source: 'list',
        unitPrices: { input: 1, output: 2 },
      };
      const own = { tenantId: tenant.id, priceId: price.id };
      await store.system.usage.add([row(own)], [price]);
      await store.system.usage.add([row(own), row({ ...own, botId: 'bot_z' })], [price]);
      const { items } = await store.forTenant(tenant.id).usage.list({ limit: 10, order: 'asc' });
      expect(items.map((item) => item.price)).toEqual([price, price, price]);
      const ofBot = await store.forTenant(tenant.id).usage.list({ limit: 10, order: 'asc', botIds: ['bot_z'] });
      expect(ofBot.items).toHaveLength(1);
    });

    it('leaves out rows of tenants that are gone, and keeps the others', async () => {
      const tenant = samples.tenant();
      await store.tenants.create(tenant);
      await store.system.usage.add([row({ tenantId: 'tnt_gone' }), row({ tenantId: tenant.id })], []);
      expect((await store.forTenant(tenant.id).usage.list({ limit: 10, order: 'asc' })).items).toHaveLength(1);
    });

    it('is seen over all tenants by the system alone', async () => {
      const { groups } = await store.system.usage.summarize({ groupBy: ['tenant'], limit: 100, order: 'asc' });
      expect(groups.length).toBeGreaterThan(1);
      expect((await summarize({ groupBy: ['tenant'] })).groups).toHaveLength(1);
    });
  });
}
