import { expect, it } from 'vitest';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { createImportBatch } from './import-batch.ts';

it('writes sources without documents while they come, not all of them at the end', async () => {
  const samples = createSamples('import-batch');
  const { store } = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
  await store.start();
  const { tenant, tenantId, botId } = await createTenantWithBot(store, samples);
  const batch = createImportBatch(
    { ...samples.bot(), id: botId, tenantId },
    { store, vectors: { upsert: async () => {} }, generation: 'fake/one@1:4' },
  );
  const idsNow = async () => (await tenant.sources.list(botId, { limit: 1, order: 'asc' })).items.map(({ id }) => id);
  const made = Array.from({ length: 3_000 }, () => samples.source(botId, { status: 'processing' }));
  for (const source of made) {
    const { id, stage, progress, counts, updatedAt } = source;
    batch.addSource(source);
    await batch.endSource({ id, changes: { status: 'queued', stage, progress, counts, updatedAt }, searchable: [] });
  }
  expect(await idsNow()).toEqual([made[0]?.id]);
  await batch.flush();
  expect(await tenant.sources.get(botId, made.at(-1)?.id ?? '')).toMatchObject({ status: 'queued' });
  await store.stop();
});
