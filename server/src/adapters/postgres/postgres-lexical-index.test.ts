import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import type { NewDocument, Store } from '../../store/index.ts';
import { createSamples } from '../../store/store-samples.contract.ts';
import { indexableText, type LexicalIndex } from '../../vector-store/index.ts';
import { describeLexicalIndexContract } from '../../vector-store/lexical-index.contract.ts';
import { openSqlite, type Sqlite } from '../sqlite/index.ts';
import { openPostgres, type Postgres } from './index.ts';
import { decodePostings } from './postgres-lexical-bytes.ts';
import { postgresLexicalDialect } from './postgres-lexical-dialect.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

const STARTING_MS = 60_000;
const WORDS = 'server deploy deployed café invoice guide 東京都 queue queues error-code_42 the of running'.split(' ');

describeWithPostgres('lexical index on PostgreSQL', () => {
  let server: TestPostgres;
  let postgres: Postgres;
  let lexicalIndex: LexicalIndex;
  beforeAll(async () => {
    server = await startTestPostgres();
    postgres = openPostgres({ url: server.url, clock: systemClock, logger: silentLogger });
    await postgres.store.start();
    lexicalIndex = postgres.lexicalIndex;
  }, STARTING_MS);
  afterAll(async () => {
    await postgres.store.stop();
    await server.remove();
  });

  describeLexicalIndexContract('PostgreSQL', async () => ({ store: postgres.store, lexicalIndex }));

  describe('beside the embedded index', () => {
    const samples = createSamples('side');
    let sqlite: Sqlite;
    beforeAll(async () => {
      sqlite = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger });
      await sqlite.store.start();
    });
    afterAll(() => sqlite.store.stop());

    const newBot = async () => {
      const [tenant, bot] = [samples.tenant(), samples.bot()];
      const source = samples.source(bot.id);
      for (const store of [postgres.store, sqlite.store]) {
        await store.tenants.create(tenant);
        await store.forTenant(tenant.id).bots.create(bot);
        await store.forTenant(tenant.id).sources.create(source);
      }
      return { key: { tenantId: tenant.id, botId: bot.id }, sourceId: source.id };
    };
    const inBoth = async (work: (store: Store) => Promise<unknown>): Promise<void> => {
      for (const store of [postgres.store, sqlite.store]) await work(store);
    };
    const addTo =
      ({ key, sourceId }: Awaited<ReturnType<typeof newBot>>, document: NewDocument) =>
      (store: Store): Promise<unknown> =>
        store.forTenant(key.tenantId).documents.add(key.botId, sourceId, document);
    const expectSameScores = async (
      key: { readonly tenantId: string; readonly botId: string },
      terms: readonly string[],
    ): Promise<number> => {
      const query = { terms, limit: 2_000 };
      const [found, expected] = [await lexicalIndex.search(key, query), await sqlite.lexicalIndex.search(key, query)];
      const scores = new Map(found.map(({ chunkId, score }) => [chunkId, score]));
      expect([...scores.keys()].sort()).toEqual(expected.map(({ chunkId }) => chunkId).sort());
      for (const { chunkId, score } of expected) expect(scores.get(chunkId)).toBeCloseTo(score, 9);
      return found.length;
    };

    it('gives the same scores for the same content', async () => {
      const { key, sourceId } = await newBot();
      const word = fc.constantFrom(...WORDS);
      const text = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(' '));
      const asked = fc.array(fc.oneof(word, text).map(indexableText), { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 6 }), text, asked, async (texts, title, terms) => {
          await inBoth(addTo({ key, sourceId }, samples.document(texts, { title })));
          await expectSameScores(key, terms);
        }),
        { numRuns: 40 },
      );
    });

    it('gives them when words are folded, removed and purged, too', async () => {
      const bot = await newBot();
      const documentOf = (each: number, prefix = 'unique'): NewDocument => {
        const texts = Array.from(
          { length: 100 },
          (_, number) =>
            `${WORDS[number % 5]} ${WORDS[(number * 7 + each) % WORDS.length]} ${prefix}${each}x${number} end`,
        );
        return samples.document(texts, { title: `Part ${WORDS[each]}` });
      };
      const documents = Array.from({ length: 8 }, (_, each) => documentOf(each));
      for (const document of documents) await inBoth(addTo(bot, document));
      const queries = [['server', 'queues'], ['unique0x7', 'end'], ['deploy queue'], ['東 京'], ['part']];
      for (const terms of queries) expect(await expectSameScores(bot.key, terms)).toBeGreaterThan(0);
      const folded = async () => {
        const { rows } = await sql<{ postings: Uint8Array }>`select postings from lexical_words
          where tenant_id = ${bot.key.tenantId} and word = 'end'`.execute(postgres.databases.database);
        return rows.flatMap(({ postings }) => decodePostings(postings)).length;
      };
      expect(await folded()).toBeGreaterThan(500);

      // FTS5 counts removed chunks until its next merge; so what is left is compared with an index of nothing else.
      const gone = [1, 6].map((each) => documents[each]?.document.id ?? '');
      await postgres.store.forTenant(bot.key.tenantId).documents.delete(gone);
      const fresh = await newBot();
      for (const each of [0, 2, 3, 4, 5, 7]) await addTo(fresh, documentOf(each))(sqlite.store);
      const expectWhatIsLeft = async () => {
        for (const terms of [...queries, ['unique1x7', 'unique6x9']]) {
          const query = { terms, limit: 2_000 };
          const found = (await lexicalIndex.search(bot.key, query)).map(({ score }) => score);
          const expected = (await sqlite.lexicalIndex.search(fresh.key, query)).map(({ score }) => score);
          expect(found.map((score) => score.toFixed(9))).toEqual(expected.map((score) => score.toFixed(9)));
        }
      };
      await expectWhatIsLeft();
      const before = await folded();
      await postgresLexicalDialect.purgeLexicalIndex(postgres.databases.database, bot.key);
      expect(await folded()).toBeLessThan(before);
      const { rows } = await sql`select 1 from lexical_words where tenant_id = ${bot.key.tenantId}
        and word like 'unique1x%' union all select 1 from lexical_removed where tenant_id = ${bot.key.tenantId}`.execute(
        postgres.databases.database,
      );
      expect(rows).toEqual([]);
      await expectWhatIsLeft();
      await addTo(bot, documentOf(1, 'again'))(postgres.store);
      await addTo(fresh, documentOf(1, 'again'))(sqlite.store);
      await expectWhatIsLeft();
    });

    it('reads folded words again when the index has changed, and only then', async () => {
      const bot = await newBot();
      const texts = Array.from({ length: 300 }, (_, number) => `kept words of chunk ${number}`);
      await addTo(bot, samples.document(texts))(postgres.store);
      const search = () => lexicalIndex.search(bot.key, { terms: ['kept', 'words of'], limit: 5 });
      const found = await search();
      expect(found).toHaveLength(5);
      const { database } = postgres.databases;
      await sql`delete from lexical_words where tenant_id = ${bot.key.tenantId}`.execute(database);
      expect(await search()).toEqual(found);
      await sql`update lexical_indexes set folded_chunks = folded_chunks
        where tenant_id = ${bot.key.tenantId}`.execute(database);
      expect(await search()).toEqual([]);
    });

    it('keeps to sources that hold few of what the words find', async () => {
      const { key, sourceId } = await newBot();
      const rare = samples.source(key.botId);
      await inBoth((store) => store.forTenant(key.tenantId).sources.create(rare));
      const many = samples.document(Array.from({ length: 400 }, () => 'common common words'));
      const few = samples.document(['common text that is longer than the others', 'nothing']);
      await inBoth(addTo({ key, sourceId }, many));
      await inBoth(addTo({ key, sourceId: rare.id }, few));
      const query = { terms: ['common'], limit: 3, filter: { sourceIds: [rare.id] } };
      expect((await lexicalIndex.search(key, query)).map(({ chunkId }) => chunkId)).toEqual([few.chunks[0]?.id]);
    });
  });

  it('finds every chunk that writers put in side by side', async () => {
    const samples = createSamples('many');
    const [tenant, bot] = [samples.tenant(), samples.bot()];
    await postgres.store.tenants.create(tenant);
    await postgres.store.forTenant(tenant.id).bots.create(bot);
    const source = samples.source(bot.id);
    await postgres.store.forTenant(tenant.id).sources.create(source);
    const add = async (writer: number): Promise<void> => {
      for (let each = 0; each < 5; each += 1) {
        const texts = Array.from({ length: 30 }, (_, number) => `shared word w${writer}x${each}x${number}`);
        const document = samples.document(texts);
        await postgres.store.forTenant(tenant.id).documents.add(bot.id, source.id, document);
        if (each === 2) await postgres.store.forTenant(tenant.id).documents.delete([document.document.id]);
      }
    };
    await Promise.all([0, 1, 2, 3, 4].map(add));
    const key = { tenantId: tenant.id, botId: bot.id };
    expect(await lexicalIndex.search(key, { terms: ['shared'], limit: 2_000 })).toHaveLength(5 * 4 * 30);
  });
});
