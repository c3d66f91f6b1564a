import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Store, TenantStore } from '../store/index.ts';
import { createSamples, createTenantWithBot } from '../store/store-samples.contract.ts';
import type { LexicalIndex } from './ports.ts';
import { queryTerms } from './query-terms.ts';

const samples = createSamples('lex');

/** What every lexical index must do, with the store that feeds it. `open` gives a started store. */
export function describeLexicalIndexContract(
  name: string,
  open: () => Promise<{ readonly store: Store; readonly lexicalIndex: LexicalIndex }>,
): void {
  describe(`lexical index contract: ${name}`, () => {
    let store: Store;
    let index: LexicalIndex;
    beforeAll(async () => {
      const opened = await open();
      store = opened.store;
      index = opened.lexicalIndex;
    });

    const newBot = async () => {
      const { tenant, tenantId, botId } = await createTenantWithBot(store, samples);
      const source = samples.source(botId);
      await tenant.sources.create(source);
      return { tenant, botId, sourceId: source.id, key: { tenantId, botId } };
    };
    const add = async (
      bot: { readonly tenant: TenantStore; readonly botId: string; readonly sourceId: string },
      texts: readonly string[],
      changes: Parameters<typeof samples.document>[1] = {},
    ) => {
      const document = samples.document(texts, { title: 'Untitled', ...changes });
      await bot.tenant.documents.add(bot.botId, bot.sourceId, document);
      return { id: document.document.id, chunkIds: document.chunks.map(({ id }) => id) };
    };
    const search = async (bot: { readonly key: { tenantId: string; botId: string } }, ...terms: string[]) =>
      (await index.search(bot.key, { terms, limit: 100 })).map(({ chunkId }) => chunkId);

    it('finds stemmed words in any case and without accents, best first', async () => {
      const bot = await newBot();
      const { chunkIds } = await add(bot, [
        'Deploying the café server to a fleet of machines.',
        'Deployed is one server; servers, servers everywhere.',
        'Nothing of the kind.',
        'Nor here.',
        'Least of all in this one.',
      ]);
      expect(await search(bot, 'SERVERS', 'deployed')).toEqual([chunkIds[1], chunkIds[0]]);
      expect(await search(bot, 'cafe')).toEqual([chunkIds[0]]);
      expect(await search(bot, 'absent')).toEqual([]);
      const scored = await index.search(bot.key, { terms: ['server'], limit: 100 });
      expect(scored.every(({ score }) => score > 0)).toBe(true);
    });

    it('takes any one of the terms, and a term of several words as a phrase', async () => {
      const bot = await newBot();
      const { chunkIds } = await add(bot, ['red green apples', 'green blue pears', 'blue red plums']);
      expect((await search(bot, 'green', 'plum')).sort()).toEqual([...chunkIds].sort());
      expect(await search(bot, 'green-blue')).toEqual([chunkIds[1]]);
    });

    it('finds text in scripts without spaces by the terms of a question', async () => {
      const bot = await newBot();
      const { chunkIds } = await add(bot, [
        '東京都の図書館は日曜日に休みます。',
        '大阪の天気は晴れです。',
        'English text alone.',
      ]);
      expect(await search(bot, ...queryTerms('図書館はいつ休みますか'))).toEqual([chunkIds[0]]);
      expect(await search(bot, ...queryTerms('大阪'))).toEqual([chunkIds[1]]);
    });

    it('weighs titles and headings more than text', async () => {
      const bot = await newBot();
      const inText = await add(bot, ['invoices are sent monthly']);
      const inTitle = await add(bot, ['they are sent monthly, all right'], { title: 'Invoices' });
      expect(await search(bot, 'invoice')).toEqual([inTitle.chunkIds[0], inText.chunkIds[0]]);
      expect(await search(bot, 'guide')).toHaveLength(2);
    });

    it('holds searchable documents alone', async () => {
      const bot = await newBot();
      const document = await add(bot, ['unfinished business'], { state: 'building' });
      expect(await search(bot, 'business')).toEqual([]);
      await bot.tenant.documents.setState([document.id], 'searchable');
      expect(await search(bot, 'business')).toEqual(document.chunkIds);
      await bot.tenant.documents.delete([document.id]);
      expect(await search(bot, 'business')).toEqual([]);
    });

    it('forgets what a transaction undid', async () => {
      const bot = await newBot();
      const failing = bot.tenant.transaction(async (repositories) => {
        await repositories.documents.add(bot.botId, bot.sourceId, samples.document(['phantom text']));
        throw new Error('undone');
      });
      await expect(failing).rejects.toThrow('undone');
      expect(await search(bot, 'phantom')).toEqual([]);
      const kept = await add(bot, ['phantom text']);
      expect(await search(bot, 'phantom')).toEqual(kept.chunkIds);
    });

    it('forgets deleted sources and bots', async () => {
      const bot = await newBot();
      await add(bot, ['ephemeral words']);
      const other = { ...bot, sourceId: samples.next('src') };
      await bot.tenant.sources.create(samples.source(bot.botId, { id: other.sourceId }));
      const kept = await add(other, ['ephemeral too']);
      await bot.tenant.sources.delete(bot.botId, bot.sourceId);
      expect(await search(bot, 'ephemeral')).toEqual(kept.chunkIds);
      await bot.tenant.bots.delete(bot.botId);
      expect(await search(bot, 'ephemeral')).toEqual([]);
    });

    it('keeps bots and tenants apart, in their scores as well', async () => {
      const [mine, theirs] = [await newBot(), await newBot()];
      await add(mine, ['rare word', 'other text']);
      const [before] = await index.search(mine.key, { terms: ['rare'], limit: 1 });
      for (let count = 0; count < 5; count += 1) await add(theirs, ['rare rare rare']);
      expect(await index.search(mine.key, { terms: ['rare'], limit: 9 })).toEqual([before]);
      const mixed = { tenantId: theirs.key.tenantId, botId: mine.botId };
      expect(await index.search(mixed, { terms: ['rare'], limit: 9 })).toEqual([]);
    });

    it('keeps to the sources asked for and to the limit', async () => {
      const bot = await newBot();
      const first = await add(bot, ['shared topic one', 'shared topic two']);
      const other = { ...bot, sourceId: samples.next('src') };
      await bot.tenant.sources.create(samples.source(bot.botId, { id: other.sourceId }));
      const second = await add(other, ['shared topic three']);
      const find = async (sourceIds: readonly string[], limit = 100) =>
        (await index.search(bot.key, { terms: ['shared'], limit, filter: { sourceIds } })).map(
          ({ chunkId }) => chunkId,
        );
      expect(await find([other.sourceId])).toEqual(second.chunkIds);
      expect((await find([bot.sourceId])).sort()).toEqual([...first.chunkIds].sort());
      expect(await find([])).toEqual([]);
      expect(await find([bot.sourceId, other.sourceId], 2)).toHaveLength(2);
      expect(await index.search(bot.key, { terms: ['shared'], limit: 0 })).toEqual([]);
    });

    it('scores given chunks as the search does', async () => {
      const bot = await newBot();
      const { chunkIds } = await add(bot, ['apple pie', 'apple apple', 'pear']);
      const found = await index.search(bot.key, { terms: ['apple'], limit: 9 });
      expect(await index.score(bot.key, { terms: ['apple'], chunkIds })).toEqual(found);
      const last = chunkIds[1] ?? '';
      expect(await index.score(bot.key, { terms: ['apple'], chunkIds: [last, 'chk_none'] })).toEqual(
        found.filter(({ chunkId }) => chunkId === last),
      );
      expect(await index.score(bot.key, { terms: ['apple'], chunkIds: [] })).toEqual([]);
    });

    it('is empty for a bot that nothing was indexed for, and without terms', async () => {
      const bot = await newBot();
      expect(await search(bot, 'anything')).toEqual([]);
      expect(await index.score({ tenantId: 'tnt_none', botId: 'bot_none' }, { terms: ['x'], chunkIds: ['c'] })).toEqual(
        [],
      );
      await add(bot, ['anything']);
      expect(await search(bot)).toEqual([]);
      expect(await search(bot, ' ', '""', '---')).toEqual([]);
    });

    it('takes any text as terms', async () => {
      const bot = await newBot();
      const { chunkIds } = await add(bot, ['needle']);
      const syntax = [
        '"',
        'title:',
        'NEAR(',
        'a AND',
        'NOT',
        '*',
        '^x',
        '{title body}:',
        "'; drop table chunks; --",
        '\0',
        '(((',
        '\\',
      ];
      expect(await search(bot, ...syntax, 'needle')).toEqual(chunkIds);
      await fc.assert(
        fc.asyncProperty(fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 20 }), async (terms) => {
          expect(await search(bot, ...terms, 'needle')).toEqual(chunkIds);
        }),
        { numRuns: 100 },
      );
      const many = Array.from({ length: 5_000 }, (_, count) => `filler${count}`);
      expect(await search(bot, 'needle', ...many)).toEqual(chunkIds);
    });

    it('stops for an aborted signal', async () => {
      const bot = await newBot();
      const aborted = AbortSignal.abort(new Error('left'));
      await expect(index.search(bot.key, { terms: ['x'], limit: 1 }, aborted)).rejects.toThrow('left');
      await expect(index.score(bot.key, { terms: ['x'], chunkIds: ['c'] }, aborted)).rejects.toThrow('left');
    });
  });
}
