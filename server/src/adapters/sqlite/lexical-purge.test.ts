import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import type { Store } from '../../store/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { openSqlite } from './index.ts';

const samples = createSamples('lex');
let folder: string;
let store: Store;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lexical-purge-'));
  ({ store } = openSqlite({ file: join(folder, 'test.db'), clock: systemClock, logger: silentLogger }));
  await store.start();
});
afterEach(async () => {
  await store.stop();
  await rm(folder, { recursive: true });
});

/** In how many pages of the index a word's stem stands. */
function pagesWith(stem: string): number {
  const database = new Database(join(folder, 'test.db'));
  try {
    const statement = database.prepare(
      'select count(*) as pages from lexical_index_1_data where instr(block, cast(? as blob)) > 0',
    );
    return (statement.get(stem) as { readonly pages: number }).pages;
  } finally {
    database.close();
  }
}

it('words of deleted content are cleared out of the index on disk', async () => {
  const { tenant, botId } = await createTenantWithBot(store, samples);
  const large = samples.source(botId);
  await tenant.sources.create(large);
  await tenant.documents.add(
    botId,
    large.id,
    samples.document(Array.from({ length: 200 }, () => 'enough for a table')),
  );
  for (let number = 0; number < 20; number += 1) {
    const source = samples.source(botId);
    await tenant.sources.create(source);
    const word = number === 7 ? 'zorblaxian' : 'common';
    await tenant.documents.add(botId, source.id, samples.document([`the ${word} text number ${number}`]));
    if (number !== 7) continue;
    expect(pagesWith('orblaxian')).toBe(1);
    await tenant.sources.delete(botId, source.id);
  }
  expect(await store.system.purgeLexicalIndexes(0)).toBe(1);
  expect(pagesWith('orblaxian')).toBe(0);
  expect(pagesWith('ommon')).toBeGreaterThan(0);
  expect(await store.system.purgeLexicalIndexes(systemClock.now() + 60_000)).toBe(0);
});
