import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import type { TenantStore } from '../../store/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { queryTerms } from '../../vector-store/index.ts';
import { openSqlite, type Sqlite } from './index.ts';

const samples = createSamples('small');
const WORDS = ['invoice', 'holiday', 'password', 'delivery', 'laptop'];
let folder: string;
let sqlite: Sqlite;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'small-lexical-'));
  sqlite = openSqlite({ file: join(folder, 'test.db'), clock: systemClock, logger: silentLogger });
  await sqlite.store.start();
});
afterEach(async () => {
  await sqlite.store.stop();
  await rm(folder, { recursive: true });
});

async function newBot(store = sqlite.store) {
  const { tenant, tenantId, botId } = await createTenantWithBot(store, samples);
  const source = samples.source(botId);
  await tenant.sources.create(source);
  return { tenant, botId, sourceId: source.id, key: { tenantId, botId } };
}

async function add(
  bot: { readonly tenant: TenantStore; readonly botId: string; readonly sourceId: string },
  texts: readonly string[],
): Promise<string> {
  const document = samples.document(texts, { title: 'Untitled' });
  await bot.tenant.documents.add(bot.botId, bot.sourceId, document);
  return document.document.id;
}

/** Tables in the file, which every connection reads the schema of. */
function tablesInFile(): number {
  const database = new Database(join(folder, 'test.db'));
  try {
    return (database.prepare('select count(*) as tables from sqlite_master').get([]) as { tables: number }).tables;
  } finally {
    database.close();
  }
}

/** Texts that differ in length and in how often they have each word. */
function texts(count: number): readonly string[] {
  return Array.from({ length: count }, (_, number) =>
    WORDS.flatMap((word, place) => Array.from({ length: (number * (place + 3)) % 7 }, () => word))
      .concat(`text number${number}`)
      .join(' '),
  );
}

const scoresOf = async ({ lexicalIndex }: Sqlite, key: { tenantId: string; botId: string }) =>
  (await lexicalIndex.search(key, { terms: WORDS.slice(0, 2), limit: 300 })).map(({ score }) => score.toFixed(9));

it('small bots add nothing to the schema, and each finds its own', async () => {
  const before = tablesInFile();
  const bots = await Promise.all(Array.from({ length: 150 }, () => newBot()));
  for (const [number, bot] of bots.entries()) await add(bot, [`the word only${number}of mine`, 'and invoices']);
  // Twice: at first each is loaded, and the later ones take the places of the earlier ones.
  for (let round = 0; round < 2; round += 1) {
    const found = await Promise.all(
      bots.map(({ key }, number) => sqlite.lexicalIndex.search(key, { terms: [`only${number}of`], limit: 5 })),
    );
    expect(found.map((hits) => hits.length)).toEqual(bots.map(() => 1));
  }
  const [first, second] = bots;
  expect(await sqlite.lexicalIndex.search(first?.key ?? samplesKey, { terms: ['only1of'], limit: 5 })).toEqual([]);
  expect(await sqlite.lexicalIndex.search(second?.key ?? samplesKey, { terms: ['only1of'], limit: 5 })).toHaveLength(1);
  expect(tablesInFile()).toBe(before);
});

it('a bot that grows gets a table of all its chunks, and scores are the same with and without one', async () => {
  const always = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
  await always.store.start();
  const [bot, other] = [await newBot(), await newBot(always.store)];
  const before = tablesInFile();
  for (const count of [5, 60, 63, 1, 40, 200]) {
    await add(bot, texts(count));
    await add(other, texts(count));
    expect(await scoresOf(sqlite, bot.key)).toEqual(await scoresOf(always, other.key));
  }
  expect(tablesInFile()).toBeGreaterThan(before);
  await always.store.stop();
});

it('what was added or deleted counts in the next search', async () => {
  const bot = await newBot();
  const search = async (question: string) =>
    (await sqlite.lexicalIndex.search(bot.key, { terms: queryTerms(question), limit: 10 })).length;
  expect(await search('apple')).toBe(0);
  const first = await add(bot, ['an apple']);
  expect(await search('apple')).toBe(1);
  await add(bot, ['another apple', '東京都の図書館は日曜日に休みます。']);
  expect(await search('apple')).toBe(2);
  expect(await search('図書館')).toBe(1);
  await bot.tenant.documents.delete([first]);
  expect(await search('apple')).toBe(1);
  await bot.tenant.bots.delete(bot.botId);
  expect(await search('apple')).toBe(0);
});

const samplesKey = { tenantId: 'none', botId: 'none' };
