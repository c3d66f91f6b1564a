import { describe, expect, it } from 'vitest';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../kernel/index.ts';
import { createSamples, createTenantWithBot } from './store-samples.contract.ts';
import { createWriteRecorder } from './write-watch.ts';

describe('write recorder', () => {
  it.each([
    ['update "bots" set "name" = ?', true],
    ['insert into "bots" ("id") values (?)', true],
    ['delete from "tenants" where "id" = ?', true],
    ['select * from "bots"', false],
    ['update "sources" set "bots" = ?', false],
    ['insert into "bots_seen" ("id") values (?)', false],
  ])('knows whether %s concerns what is kept', (sql, concerned) => {
    expect(createWriteRecorder().concerns(sql)).toBe(concerned);
  });

  it('believes nothing while a write is under way, and has another version after it', () => {
    const recorder = createWriteRecorder();
    const before = recorder.version();
    const [end, endOther] = [recorder.begin(), recorder.begin()];
    end();
    end();
    expect(recorder.version()).toBeNull();
    endOther();
    expect(recorder.version()).not.toBe(before);
  });
});

describe('kept bots', () => {
  const samples = createSamples('kept');

  it('are read once, and again after each change of theirs, however it came', async () => {
    const { store } = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
    await store.start();
    const { tenant, tenantId, botId } = await createTenantWithBot(store, samples);
    const first = await tenant.bots.get(botId);
    expect(await tenant.bots.get(botId)).toBe(first);
    await tenant.bots.update(botId, { name: 'Renamed', updatedAt: samples.now });
    expect(await tenant.bots.get(botId)).toMatchObject({ name: 'Renamed' });
    await tenant.transaction(async ({ bots, sources }) => {
      await bots.update(botId, { name: 'Within', updatedAt: samples.now });
      expect(await bots.get(botId)).toMatchObject({ name: 'Within' });
      await sources.create(samples.source(botId));
    });
    const after = await tenant.bots.get(botId);
    expect(after?.name).toBe('Within');
    expect(after?.contentRevision).toBeDefined();
    await tenant
      .transaction(async ({ bots }) => {
        await bots.update(botId, { name: 'Undone', updatedAt: samples.now });
        throw new Error('undone');
      })
      .catch(() => {});
    expect(await tenant.bots.get(botId)).toMatchObject({ name: 'Within' });
    await store.tenants.delete(tenantId);
    expect(await tenant.bots.get(botId)).toBeNull();
    await store.stop();
  });
});
