import { beforeAll, describe, expect, it } from 'vitest';
import type { AppError } from '../kernel/index.ts';
import { describeContentRevision } from './content-revision.contract.ts';
import { FIRST_CHUNK_SET } from './index-key.ts';
import { describeJobClaims } from './job-claims.contract.ts';
import { describeMetadataFilters } from './metadata-filter.contract.ts';
import type { Store, TenantStore } from './ports.ts';
import { collect, createSamples, createTenantWithBot } from './store-samples.contract.ts';
import { describeTenantIsolation } from './tenant-isolation.contract.ts';

const GENERATION = 'fake/model@1:2';
const ASCENDING = { limit: 100, order: 'asc' } as const;
const samples = createSamples('sto');

/** What every store must do. `open` gives a started store, which the caller stops after the tests. */
export function describeStoreContract(name: string, open: () => Promise<Store>): void {
  describeTenantIsolation(name, open);
  describeJobClaims(name, open);
  describeMetadataFilters(name, open);
  describeContentRevision(name, open);

  describe(`store contract: ${name}`, () => {
    let store: Store;
    let tenant: TenantStore;
    let tenantId: string;
    let botId: string;
    beforeAll(async () => {
      store = await open();
      ({ tenant, tenantId, botId } = await createTenantWithBot(store, samples));
    });

    const addSource = async (changes: Parameters<typeof samples.source>[1] = {}) => {
      const source = samples.source(botId, changes);
      await tenant.sources.create(source);
      return source;
    };
    const addDocument = async (sourceId: string, ...content: Parameters<typeof samples.document>) => {
      const document = samples.document(...content);
      await tenant.documents.add(botId, sourceId, document);
      return document;
    };

    it('answers a ping', async () => {
      await expect(store.ping()).resolves.toBeUndefined();
      await expect(store.ping(AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    });

    describe('entities', () => {
      it('gives back what was put in', async () => {
        const bot = samples.bot({
          instructions: 'Be kind.\n"Quoted" ünïcödé 🦉',
          model: 'openai/gpt-4o-mini',
          temperature: 1,
          maxOutputTokens: 512,
          refusalMessage: 'No.',
          retrieval: { maxNumResults: 5, hybrid: { embeddingWeight: 0.3, textWeight: 0.7 } },
          privacy: { pii: 'mask' },
          metadata: JSON.parse('{"a.b": [1, null, true], "__proto__": "own"}'),
        });
        await tenant.bots.create(bot);
        expect(await tenant.bots.get(bot.id)).toEqual({ ...bot, tenantId });
        expect(await tenant.bots.get(bot.slug)).toEqual({ ...bot, tenantId });

        const source = await addSource({
          lastError: { code: 'empty_content', message: 'm' },
          externalKey: 'k',
          stage: 'loading',
        });
        expect(await tenant.sources.get(botId, source.id)).toEqual({ ...source, tenantId });
        expect(await tenant.sources.getByExternalKey(botId, 'k')).toEqual({ ...source, tenantId });

        const conversation = samples.conversation(botId, { metadata: { page: '/x' } });
        await tenant.conversations.create(conversation);
        expect(await tenant.conversations.get(conversation.id)).toEqual({ ...conversation, tenantId });
        const citation = { index: 1, sourceId: 's', documentId: 'd', chunkId: 'c', externalKey: null, title: 't' };
        const message = samples.message(botId, conversation.id, {
          role: 'assistant',
          citations: [{ ...citation, url: null, page: 2, start: 0, end: 3, quote: 'abc', score: 0.25 }],
          grounded: false,
          servedBy: 'fake/model',
        });
        await tenant.messages.append(message);
        expect(await tenant.messages.get(message.id)).toEqual({ ...message, tenantId });
        // Two processes may have made the same answer: what is whole stays, what broke off gives way.
        await tenant.messages.append({ ...message, content: 'Twice.' });
        expect(await tenant.messages.get(message.id)).toEqual({ ...message, tenantId });
        const broken = samples.message(botId, conversation.id, { role: 'assistant', status: 'incomplete' });
        await tenant.messages.append(broken);
        const whole = { ...broken, content: 'Whole.', status: 'complete' as const };
        await tenant.messages.append(whole);
        expect(await tenant.messages.get(broken.id)).toEqual({ ...whole, tenantId });

        const apiKey = samples.apiKey({ bots: [botId], origins: ['https://a.example'], expiresAt: samples.now });
        await tenant.apiKeys.create(apiKey);
        expect(await tenant.apiKeys.get(apiKey.id)).toEqual({ ...apiKey, tenantId });
        expect(await store.system.findApiKey(apiKey.secretHash)).toEqual({ ...apiKey, tenantId });

        const usage = samples.usage({ botId, keyId: apiKey.id, endUser: 'u' });
        await store.system.usage.add([{ ...usage, tenantId }], []);
        expect((await tenant.usage.list(ASCENDING)).items).toEqual([{ ...usage, tenantId, price: null }]);
      });

      it('changes what it is told to and nothing else', async () => {
        const bot = samples.bot({ instructions: 'old', temperature: 0.5 });
        await tenant.bots.create(bot);
        const changed = await tenant.bots.update(bot.id, { instructions: null, updatedAt: samples.now + 1 });
        expect(changed).toMatchObject({ ...bot, tenantId, instructions: null, updatedAt: samples.now + 1 });
        expect(await tenant.bots.update('bot_none', { name: 'x', updatedAt: 1 })).toBeNull();

        const source = await addSource();
        const changes = {
          status: 'ready',
          stage: null,
          progress: { done: 3, total: 4 },
          updatedAt: samples.now + 1,
        } as const;
        await tenant.sources.update(source.id, changes);
        expect(await tenant.sources.get(botId, source.id)).toEqual({ ...source, ...changes, tenantId });
      });

      it('refuses a slug that the tenant has already', async () => {
        const first = samples.bot();
        const second = samples.bot();
        await tenant.bots.create(first);
        await tenant.bots.create(second);
        await expect(tenant.bots.create(samples.bot({ slug: first.slug }))).rejects.toMatchObject({
          code: 'slug_taken',
        });
        await expect(tenant.bots.update(second.id, { slug: first.slug, updatedAt: samples.now })).rejects.toMatchObject(
          { code: 'slug_taken' },
        );
        const other = await createTenantWithBot(store, samples);
        await expect(other.tenant.bots.create(samples.bot({ slug: first.slug }))).resolves.toBeUndefined();
      });

      it('refuses rows whose parent is not there', async () => {
        const code = (error: unknown) => (error as AppError).code;
        const none = 'none';
        expect(await tenant.sources.create(samples.source(none)).catch(code)).toBe('bot_not_found');
        expect(await tenant.documents.add(botId, none, samples.document(['x'])).catch(code)).toBe('source_not_found');
        expect(await tenant.messages.append(samples.message(botId, none)).catch(code)).toBe('conversation_not_found');
        expect(await store.forTenant(none).bots.create(samples.bot()).catch(code)).toBe('tenant_not_found');
      });

      it('names a second source with the same external key as busy', async () => {
        await addSource({ externalKey: 'twice' });
        await expect(addSource({ externalKey: 'twice' })).rejects.toMatchObject({
          code: 'source_busy',
          retryable: true,
        });
      });

      it('revokes a key once and for all', async () => {
        const key = samples.apiKey();
        await tenant.apiKeys.create(key);
        expect(await tenant.apiKeys.revoke(key.id, 5)).toBe(true);
        expect(await tenant.apiKeys.revoke(key.id, 9)).toBe(true);
        expect((await tenant.apiKeys.get(key.id))?.revokedAt).toBe(5);
        expect(await tenant.apiKeys.revoke('key_none', 5)).toBe(false);
        await store.system.touchApiKeys([key.id], 7);
        expect((await tenant.apiKeys.get(key.id))?.lastUsedAt).toBe(7);
      });

      it('keeps settings', async () => {
        expect(await store.system.getSetting('mark')).toBeNull();
        await store.system.setSetting('mark', '1');
        await store.system.setSetting('mark', '2');
        expect(await store.system.getSetting('mark')).toBe('2');
      });
    });

    describe('lists', () => {
      it('pages forwards and backwards in either order, without gaps or repeats', async () => {
        const { tenant: own, botId: ownBot } = await createTenantWithBot(store, samples);
        const ids: string[] = [];
        for (let count = 0; count < 7; count += 1) {
          const source = samples.source(ownBot);
          await own.sources.create(source);
          ids.push(source.id);
        }
        const list = async (page: Parameters<typeof own.sources.list>[1]) => {
          const { items, hasMore } = await own.sources.list(ownBot, page);
          return { ids: items.map(({ id }) => id), hasMore };
        };
        const at = (position: number): string => ids[position] ?? '';
        const descending = [...ids].reverse();
        expect(await list({ limit: 3, order: 'asc' })).toEqual({ ids: ids.slice(0, 3), hasMore: true });
        expect(await list({ limit: 3, order: 'asc', after: at(3) })).toEqual({ ids: ids.slice(4), hasMore: false });
        expect(await list({ limit: 3, order: 'desc' })).toEqual({ ids: descending.slice(0, 3), hasMore: true });
        expect(await list({ limit: 9, order: 'desc', after: at(2) })).toEqual({
          ids: descending.slice(5),
          hasMore: false,
        });
        expect(await list({ limit: 2, order: 'asc', before: at(4) })).toEqual({ ids: ids.slice(2, 4), hasMore: true });
        expect(await list({ limit: 2, order: 'desc', before: at(4) })).toEqual({ ids: [at(6), at(5)], hasMore: false });
        expect(await list({ limit: 2, order: 'asc', after: 'src_none' })).toEqual({ ids: [], hasMore: false });
      });

      it('lists tenants', async () => {
        const row = samples.tenant();
        await store.tenants.create(row);
        const page = await store.tenants.list({ limit: 1, order: 'desc' });
        expect(page.items).toEqual([row]);
        expect(await store.tenants.update(row.id, { name: 'New', updatedAt: 9 })).toMatchObject({ name: 'New' });
        expect(await store.tenants.update('tnt_none', { name: 'New', updatedAt: 9 })).toBeNull();
      });
    });

    describe('transactions', () => {
      it('takes all or nothing, and reads its own writes', async () => {
        const kept = samples.source(botId);
        const undone = samples.source(botId);
        await tenant.transaction(async (repositories) => {
          await repositories.sources.create(kept);
          expect(await repositories.sources.get(botId, kept.id)).not.toBeNull();
        });
        const failing = tenant.transaction(async (repositories) => {
          await repositories.sources.create(undone);
          throw new Error('changed my mind');
        });
        await expect(failing).rejects.toThrow('changed my mind');
        expect(await tenant.sources.get(botId, kept.id)).not.toBeNull();
        expect(await tenant.sources.get(botId, undone.id)).toBeNull();
      });

      it('undoes only the failed one of many at once', async () => {
        const attempts = Array.from({ length: 60 }, (_, count) => ({
          source: samples.source(botId),
          fails: count % 3 === 1,
        }));
        const outcomes = await Promise.allSettled(
          attempts.map(({ source, fails }) =>
            tenant.transaction(async (repositories) => {
              await repositories.sources.create(source);
              if (fails) throw new Error('no');
            }),
          ),
        );
        for (const [position, { source, fails }] of attempts.entries()) {
          expect(outcomes[position]?.status).toBe(fails ? 'rejected' : 'fulfilled');
          expect((await tenant.sources.get(botId, source.id)) === null).toBe(fails);
        }
      });

      it('serialises read-then-write', async () => {
        const conversation = samples.conversation(botId, { title: '0' });
        await tenant.conversations.create(conversation);
        await Promise.all(
          Array.from({ length: 40 }, () =>
            tenant.transaction(async ({ conversations }) => {
              const { title } = (await conversations.get(conversation.id)) ?? { title: '0' };
              await conversations.update(conversation.id, { title: String(Number(title) + 1), updatedAt: 1 });
            }),
          ),
        );
        expect((await tenant.conversations.get(conversation.id))?.title).toBe('40');
      });

      it('goes on after a statement of it failed', async () => {
        const bot = samples.bot();
        await tenant.bots.create(bot);
        const other = samples.source(botId);
        await tenant.transaction(async ({ bots, sources }) => {
          await expect(bots.create(bot)).rejects.toThrow();
          await sources.create(other);
        });
        expect(await tenant.sources.get(botId, other.id)).not.toBeNull();
      });
    });

    describe('documents and chunks', () => {
      it('adds a document once, with its chunks', async () => {
        const { id: sourceId } = await addSource();
        const document = await addDocument(sourceId, ['alpha', 'beta']);
        await tenant.documents.add(botId, sourceId, document);
        const { documents, chunks } = {
          documents: await tenant.documents.list(sourceId, ASCENDING),
          chunks: await tenant.chunks.list(document.document.id, ASCENDING),
        };
        expect(documents.items).toHaveLength(1);
        expect(documents.items[0]).not.toHaveProperty('text');
        expect(chunks.items).toEqual(
          document.chunks.map((chunk) => ({ ...chunk, tenantId, botId, sourceId, documentId: document.document.id })),
        );
        expect(await tenant.documents.get(document.document.id)).toMatchObject({ ...document.document, sourceId });
      });

      it('adds many sources and many documents at once, each once', async () => {
        const sources = Array.from({ length: 120 }, () => samples.source(botId));
        await tenant.sources.createMany(botId, sources);
        await tenant.sources.createMany(botId, []);
        const added = sources.map(({ id: sourceId }) => ({ ...samples.document(['alpha', 'beta']), sourceId }));
        await tenant.documents.addMany({ botId }, added.slice(0, 5));
        await tenant.documents.addMany({ botId }, added);
        for (const { sourceId, document, chunks } of added) {
          expect((await tenant.documents.list(sourceId, ASCENDING)).items.map(({ id }) => id)).toEqual([document.id]);
          expect((await tenant.chunks.list(document.id, ASCENDING)).items.map(({ id }) => id)).toEqual(
            chunks.map(({ id }) => id),
          );
        }
        const stray = { ...samples.document(['alpha']), sourceId: 'src_none' };
        await expect(tenant.documents.addMany({ botId }, [stray])).rejects.toMatchObject({ code: 'source_not_found' });
        await expect(tenant.sources.createMany('bot_none', [samples.source(botId)])).rejects.toMatchObject({
          code: 'bot_not_found',
        });
      });

      it('returns only chunks of searchable documents of the bot, in the order asked for', async () => {
        const { id: sourceId } = await addSource({ externalKey: 'ext' });
        const seen = await addDocument(sourceId, ['one', 'two']);
        const building = await addDocument(sourceId, ['three'], { state: 'building' });
        const ids = [...seen.chunks, ...building.chunks].map(({ id }) => id).reverse();
        const found = await tenant.chunks.getSearchable(botId, [...ids, 'chk_none', ids[0] ?? '']);
        expect(found.map(({ text }) => text)).toEqual(['two', 'one']);
        expect(found[0]).toMatchObject({
          documentTitle: 'A document',
          documentUrl: 'https://example.com/a',
          externalKey: 'ext',
        });
        expect(await tenant.chunks.getSearchable('bot_other', ids)).toEqual([]);

        await tenant.documents.setState([building.document.id], 'searchable');
        await tenant.documents.setState([seen.document.id], 'refused');
        expect((await tenant.chunks.getSearchable(botId, ids)).map(({ text }) => text)).toEqual(['three']);
        expect(await tenant.documents.idsOf(sourceId, ['searchable'])).toEqual([building.document.id]);
        expect(await tenant.documents.idsOf(sourceId, [])).toEqual([]);
      });

      it('takes documents of very many chunks and lists of very many ids', async () => {
        const { id: sourceId } = await addSource();
        const texts = Array.from({ length: 1_234 }, (_, count) => `text ${count}`);
        const { document, chunks } = await addDocument(sourceId, texts);
        const ids = chunks.map(({ id }) => id);
        const many = [...ids, ...Array.from({ length: 60_000 }, (_, count) => `chk_none${count}`)];
        expect(await tenant.chunks.getSearchable(botId, many)).toHaveLength(texts.length);
        expect(await tenant.documents.getMany([...many, document.id])).toHaveLength(1);
        await tenant.documents.delete([...many, document.id]);
        expect(await tenant.documents.get(document.id)).toBeNull();
      });
    });

    describe('vectors', () => {
      const vector = (...values: number[]) => new Float32Array(values);
      const read = (vectors: readonly Float32Array[] | undefined) => vectors?.map((window) => [...window]);

      it('keeps the windows of each chunk, by generation', async () => {
        const { id: sourceId } = await addSource();
        const { chunks } = await addDocument(sourceId, ['v-one', 'v-two', 'v-three']);
        const [first, second] = chunks.map(({ id }) => id);
        const put = [
          { chunkId: first ?? '', windows: [vector(1, 0), vector(0, 1)] },
          { chunkId: second ?? '', windows: [] },
          { chunkId: 'chk_deleted_meanwhile', windows: [vector(1, 0)] },
        ];
        await tenant.chunks.putVectors(GENERATION, put);
        expect(await tenant.chunks.countOf(sourceId, GENERATION)).toEqual({ chunks: 3, embedded: 2 });
        expect(await tenant.chunks.countOf(sourceId, 'other')).toEqual({ chunks: 3, embedded: 0 });
        expect(await tenant.chunks.hasVectors(botId, GENERATION)).toBe(true);
        expect(await tenant.chunks.hasVectors(botId, 'other')).toBe(false);
        const left = await tenant.chunks.withoutVectors(sourceId, GENERATION, { limit: 10 });
        expect(left.map(({ text }) => text)).toEqual(['v-three']);
        expect(left[0]).toMatchObject({ documentTitle: 'A document', headingPath: ['Guide', 'Part "one"'], sourceId });
        const all = await tenant.chunks.withoutVectors(sourceId, 'other', { limit: 2 });
        expect(all.map(({ text }) => text)).toEqual(['v-one', 'v-two']);

        const hashes = chunks.map(({ hash }) => hash);
        const found = await tenant.chunks.findVectors(GENERATION, hashes);
        expect(read(found.get(hashes[0] ?? ''))).toEqual([
          [1, 0],
          [0, 1],
        ]);
        expect(read(found.get(hashes[1] ?? ''))).toEqual([]);
        expect(found.size).toBe(2);
        expect((await tenant.chunks.findVectors('other', hashes)).size).toBe(0);

        const ids = chunks.map(({ id }) => id);
        const asked = await tenant.chunks.vectorsOf(botId, GENERATION, [...ids, 'chk_none']);
        expect(new Map(asked.map(({ chunkId, windows }) => [chunkId, read(windows)]))).toEqual(
          new Map([
            [
              ids[0],
              [
                [1, 0],
                [0, 1],
              ],
            ],
            [ids[1], []],
          ]),
        );
        expect(await tenant.chunks.vectorsOf('bot_other', GENERATION, ids)).toEqual([]);
        expect(await tenant.chunks.vectorsOf(botId, 'other', ids)).toEqual([]);
        expect(await tenant.chunks.countVectors(botId, GENERATION)).toBe(2);
        expect(await tenant.chunks.countVectors(botId, 'other')).toBe(0);
        expect(await tenant.chunks.countVectors('bot_other', GENERATION)).toBe(0);
        const texts = await tenant.chunks.textsOf(botId, [ids[0] ?? '', 'chk_none']);
        expect([...texts]).toEqual([[ids[0], chunks[0]?.text]]);
        expect((await tenant.chunks.textsOf('bot_other', ids)).size).toBe(0);

        await tenant.chunks.putVectors(GENERATION, [{ chunkId: first ?? '', windows: [vector(0.5, 0.5)] }]);
        const replaced = await tenant.chunks.findVectors(GENERATION, hashes);
        expect(read(replaced.get(hashes[0] ?? ''))).toEqual([[0.5, 0.5]]);
      });

      it('refuses windows of different dimensions', async () => {
        const { id: sourceId } = await addSource();
        const { chunks } = await addDocument(sourceId, ['uneven']);
        const uneven = [{ chunkId: chunks[0]?.id ?? '', windows: [vector(1), vector(0, 1)] }];
        await expect(tenant.chunks.putVectors(GENERATION, uneven)).rejects.toMatchObject({
          code: 'embedding_dimension_mismatch',
        });
      });

      it('gives the newest of several chunks with one hash', async () => {
        const { id: sourceId } = await addSource();
        const older = await addDocument(sourceId, ['same words']);
        const newer = await addDocument(sourceId, ['same words']);
        const put = (document: typeof older, value: number) =>
          tenant.chunks.putVectors(GENERATION, [{ chunkId: document.chunks[0]?.id ?? '', windows: [vector(value)] }]);
        await put(older, 1);
        await put(newer, 2);
        const found = await tenant.chunks.findVectors(GENERATION, ['hash of same words']);
        expect(read(found.get('hash of same words'))).toEqual([[2]]);
      });

      it('knows which of many bots lack something of an index', async () => {
        const bot = samples.bot();
        await tenant.bots.create(bot);
        const source = samples.source(bot.id);
        await tenant.sources.create(source);
        const document = samples.document(['alpha', 'beta']);
        const { chunks } = document;
        await tenant.documents.add(bot.id, source.id, document);
        await tenant.documents.add(bot.id, source.id, samples.document(['refused'], { state: 'refused' }));
        await tenant.documents.add(bot.id, source.id, samples.document(['building'], { state: 'building' }));
        const index = `fake/lacking@1:2#${FIRST_CHUNK_SET}`;
        const lacking = (generation: string) => tenant.generations.lacking([bot.id, 'bot_none'], generation);
        const vectorsOf = (which: typeof chunks) => which.map(({ id }) => ({ chunkId: id, windows: [vector(1, 0)] }));
        expect(await lacking(index)).toEqual([bot.id]);
        await tenant.chunks.putVectors(index, vectorsOf(chunks.slice(1)));
        expect(await lacking(index)).toEqual([bot.id]);
        await tenant.chunks.putVectors(index, vectorsOf(chunks));
        expect(await lacking(index)).toEqual([]);
        // Another way of cutting, which the documents are not cut in.
        expect(await lacking('fake/lacking@1:2#other@1')).toEqual([bot.id]);
        expect(await tenant.generations.lacking([], index)).toEqual([]);
      });

      it('loads a bot in batches, without refused documents', async () => {
        const own = await createTenantWithBot(store, samples);
        const source = samples.source(own.botId);
        await own.tenant.sources.create(source);
        const texts = Array.from({ length: 1_100 }, (_, count) => `t${count}`);
        const large = samples.document(texts, { state: 'building' });
        const refused = samples.document(['gone']);
        await own.tenant.documents.add(own.botId, source.id, large);
        await own.tenant.documents.add(own.botId, source.id, refused);
        const everyChunk = [...large.chunks, ...refused.chunks];
        await own.tenant.chunks.putVectors(
          GENERATION,
          everyChunk.map(({ id, position }) => ({ chunkId: id, windows: [vector(position, 1)] })),
        );
        await own.tenant.documents.setState([refused.document.id], 'refused');
        const loaded = await collect(store.system.loadVectors(own.botId, GENERATION));
        expect(loaded.map(({ chunkId }) => chunkId)).toEqual(large.chunks.map(({ id }) => id));
        expect(read(loaded.at(-1)?.windows)).toEqual([[1_099, 1]]);
        expect(loaded[0]).toMatchObject({ documentId: large.document.id, sourceId: source.id });
        expect(await collect(store.system.loadVectors(own.botId, 'other'))).toEqual([]);
        const aborted = collect(store.system.loadVectors(own.botId, GENERATION, AbortSignal.abort(new Error('stop'))));
        await expect(aborted).rejects.toThrow('stop');
      });
    });

    describe('deletes', () => {
      const fill = async () => {
        const own = await createTenantWithBot(store, samples);
        const source = samples.source(own.botId);
        await own.tenant.sources.create(source);
        const document = samples.document(['to be deleted']);
        await own.tenant.documents.add(own.botId, source.id, document);
        const chunkIds = document.chunks.map(({ id }) => id);
        const windows = [new Float32Array([1, 0])];
        await own.tenant.chunks.putVectors(GENERATION, [{ chunkId: chunkIds[0] ?? '', windows }]);
        const job = samples.job({ botId: own.botId, sourceId: source.id, kind: 'deleting' });
        await own.tenant.jobs.create(job);
        const conversation = samples.conversation(own.botId);
        await own.tenant.conversations.create(conversation);
        const message = samples.message(own.botId, conversation.id);
        await own.tenant.messages.append(message);
        return { ...own, source, document, chunkIds, job, conversation, message };
      };
      const contentIsGone = async (own: Awaited<ReturnType<typeof fill>>) => {
        const hashes = own.document.chunks.map(({ hash }) => hash);
        expect(await own.tenant.sources.get(own.botId, own.source.id)).toBeNull();
        expect(await own.tenant.documents.get(own.document.document.id)).toBeNull();
        expect(await own.tenant.chunks.getSearchable(own.botId, own.chunkIds)).toEqual([]);
        expect((await own.tenant.chunks.findVectors(GENERATION, hashes)).size).toBe(0);
        expect(await collect(store.system.loadVectors(own.botId, GENERATION))).toEqual([]);
      };

      it('removes a source with its content and cancels its jobs', async () => {
        const own = await fill();
        const running = samples.job({ botId: own.botId, sourceId: own.source.id, kind: 'deleting-now' });
        await own.tenant.jobs.create(running);
        const claim = { owner: 'w', kinds: ['deleting-now'], now: samples.now, leaseMs: 1_000, maxPriority: null };
        const claimed = await store.system.jobs.claim(claim);
        expect(await own.tenant.sources.delete(own.botId, own.source.id)).toEqual({
          documentIds: [own.document.document.id],
          receipt: { sources: 1, documents: 1, chunks: 1, vectors: 1, files: 1 },
        });
        await contentIsGone(own);
        expect(await own.tenant.jobs.get(own.job.id)).toMatchObject({ state: 'cancelled', lease: null });
        expect(await own.tenant.jobs.get(running.id)).toMatchObject({ state: 'cancelled', lease: null });
        const lease = { jobId: running.id, fencingToken: claimed?.fencingToken ?? -1 };
        const late = own.tenant.fencedTransaction(lease, async () => 'too late');
        await expect(late).rejects.toMatchObject({ code: 'job_lease_lost' });
        expect(await own.tenant.sources.delete(own.botId, own.source.id)).toBeNull();
      });

      it('knows which quotes can still be found, and when content was deleted', async () => {
        const own = await fill();
        expect(await own.tenant.bots.contentRemovedAt(own.botId)).toBeNull();
        const kept = samples.source(own.botId);
        await own.tenant.sources.create(kept);
        const text = samples.document(['kept for good']);
        await own.tenant.documents.add(own.botId, kept.id, text);
        const quotes = [
          { chunkId: own.chunkIds[0] ?? '', sourceId: own.source.id, quote: 'to be deleted' },
          { chunkId: text.chunks[0]?.id ?? '', sourceId: kept.id, quote: 'kept' },
          { chunkId: 'chk_before', sourceId: kept.id, quote: 'for good' },
          { chunkId: 'chk_before', sourceId: kept.id, quote: '% good' },
        ];
        expect(await own.tenant.chunks.holdQuotes(own.botId, quotes)).toEqual([true, true, true, false]);
        await own.tenant.sources.delete(own.botId, own.source.id);
        expect(await own.tenant.chunks.holdQuotes(own.botId, quotes)).toEqual([false, true, true, false]);
        expect(await own.tenant.bots.contentRemovedAt(own.botId)).toBeGreaterThan(0);
      });

      it('removes a conversation with its messages', async () => {
        const own = await fill();
        expect(await own.tenant.conversations.delete(own.conversation.id)).toBe(true);
        expect(await own.tenant.messages.get(own.message.id)).toBeNull();
        expect(await own.tenant.conversations.delete(own.conversation.id)).toBe(false);
      });

      it('removes a bot with everything of it', async () => {
        const own = await fill();
        const receipt = { sources: 1, documents: 1, chunks: 1, vectors: 1, files: 1 };
        expect(await own.tenant.bots.delete(own.botId)).toEqual(receipt);
        await contentIsGone(own);
        expect(await own.tenant.jobs.get(own.job.id)).toBeNull();
        expect(await own.tenant.messages.get(own.message.id)).toBeNull();
        expect(await own.tenant.bots.delete(own.botId)).toBeNull();
      });

      it('removes a tenant with everything of it', async () => {
        const own = await fill();
        const other = await fill();
        await own.tenant.apiKeys.create(samples.apiKey());
        await store.system.usage.add([{ ...samples.usage(), tenantId: own.tenantId }], []);
        expect(await store.tenants.delete(own.tenantId)).toBe(true);
        await contentIsGone(own);
        expect(await store.tenants.get(own.tenantId)).toBeNull();
        expect((await own.tenant.apiKeys.list(ASCENDING)).items).toEqual([]);
        expect((await own.tenant.usage.list(ASCENDING)).items).toEqual([]);
        expect(await other.tenant.documents.get(other.document.document.id)).not.toBeNull();
        expect(await store.tenants.delete(own.tenantId)).toBe(false);
      });

      it('knows the blobs that are still needed', async () => {
        const own = await createTenantWithBot(store, samples);
        const inputs = [{ name: 'x', mediaType: 'text/plain', blobHash: 'feed'.repeat(16), bytes: 1 }];
        const source = samples.source(own.botId, { inputs });
        await own.tenant.sources.create(source);
        expect(await store.system.blobHashesInUse()).toContain('feed'.repeat(16));
        await own.tenant.sources.delete(own.botId, source.id);
        expect(await store.system.blobHashesInUse()).not.toContain('feed'.repeat(16));
      });
    });

    describe('sync runs', () => {
      const asked = { action: 'upload', sourceId: null, metadata: { team: 'a' } } as const;

      it('keeps a run with what it asks for, and what became of that', async () => {
        const own = await createTenantWithBot(store, samples);
        const { syncRuns } = own.tenant;
        const run = samples.syncRun(own.botId);
        await syncRuns.create(run, [
          ...Array.from({ length: 1_200 }, (_, number) => ({ ...asked, externalKey: `k${number}` })),
          { action: 'delete', externalKey: 'old', sourceId: 'src_1', metadata: null },
        ]);
        expect(await syncRuns.get(own.botId, run.id)).toEqual({ ...run, tenantId: own.tenantId });
        expect(await syncRuns.count(run.id)).toEqual([
          { action: 'delete', state: 'asked', count: 1 },
          { action: 'upload', state: 'asked', count: 1_200 },
        ]);
        const filter = { actions: ['upload'], states: ['asked'] } as const;
        const page = await syncRuns.items(run.id, { ...filter, limit: 2 });
        expect(page.map(({ externalKey }) => externalKey)).toEqual(['k0', 'k1']);
        const next = await syncRuns.items(run.id, { ...filter, limit: 1, after: page.at(-1)?.position ?? 0 });
        expect(next).toMatchObject([{ ...asked, externalKey: 'k2', state: 'asked' }]);

        await syncRuns.noteUpload(own.botId, 'old');
        await syncRuns.noteUpload(own.botId, 'k1');
        await syncRuns.setState(run.id, { externalKeys: ['k0', 'k1'], action: 'upload', state: 'skipped' });
        expect((await syncRuns.findItem(run.id, 'old'))?.state).toBe('kept');
        expect((await syncRuns.findItem(run.id, 'k1'))?.state).toBe('done');
        expect((await syncRuns.findItem(run.id, 'k0'))?.state).toBe('skipped');
        expect(await syncRuns.findItem(run.id, 'none')).toBeNull();

        await syncRuns.update(run.id, { status: 'committed', endedAt: 5 });
        expect((await syncRuns.list(own.botId, ASCENDING)).items).toEqual([
          { ...run, tenantId: own.tenantId, status: 'committed', endedAt: 5 },
        ]);
      });

      it('refuses a run of a bot that is not there', async () => {
        await expect(tenant.syncRuns.create(samples.syncRun('bot_none'), [])).rejects.toMatchObject({
          code: 'bot_not_found',
        });
      });

      it('knows the file of a source by the hash of its bytes, and finds keys by their beginning', async () => {
        const own = await createTenantWithBot(store, samples);
        const input = { name: 'a.txt', mediaType: 'text/plain', blobHash: 'b'.repeat(64), bytes: 5 };
        const file = samples.source(own.botId, { type: 'file', externalKey: '%_a/1', inputs: [input] });
        const two = samples.source(own.botId, { type: 'file', externalKey: '%_a/2', inputs: [input, input] });
        const text = samples.source(own.botId, { externalKey: 'xya/3' });
        for (const source of [file, two, text]) await own.tenant.sources.create(source);
        await own.tenant.sources.create(samples.source(own.botId));
        const keyed = (prefix: string, after = 0) => own.tenant.sources.keyed(own.botId, { prefix, after, limit: 100 });
        expect((await keyed('')).map(({ id, fileHash }) => [id, fileHash])).toEqual([
          [file.id, 'b'.repeat(64)],
          [two.id, null],
          [text.id, null],
        ]);
        const [first, ...more] = await keyed('%_a/');
        expect(first).toMatchObject({ id: file.id, externalKey: '%_a/1', type: 'file', status: 'queued' });
        expect(more.map(({ id }) => id)).toEqual([two.id]);
        expect((await keyed('%_a/', first?.position)).map(({ id }) => id)).toEqual([two.id]);
        await own.tenant.sources.update(file.id, { inputs: [{ ...input, blobHash: 'c'.repeat(64) }], updatedAt: 1 });
        expect((await keyed(''))[0]?.fileHash).toBe('c'.repeat(64));
      });

      it('forgets runs that are long over', async () => {
        const own = await createTenantWithBot(store, samples);
        const { syncRuns } = own.tenant;
        const over = samples.syncRun(own.botId, { status: 'committed', endedAt: samples.now });
        const expired = samples.syncRun(own.botId, { expiresAt: samples.now });
        const open = samples.syncRun(own.botId, { expiresAt: samples.now + 10 });
        for (const run of [over, expired, open]) {
          await syncRuns.create(run, [{ ...asked, externalKey: 'k' }]);
        }
        expect(await store.system.purgeSyncRuns(samples.now + 5)).toBeGreaterThanOrEqual(2);
        expect((await syncRuns.list(own.botId, ASCENDING)).items.map(({ id }) => id)).toEqual([open.id]);
        expect(await syncRuns.findItem(over.id, 'k')).toBeNull();
      });
    });

    describe('versions of prompts', () => {
      it('are kept once each, in their order, with when they were chosen last', async () => {
        const bot = samples.bot();
        await tenant.bots.create(bot);
        const { promptVersions } = tenant;
        const [one, two] = ['custom@a', 'custom@b'].map((version) => samples.promptVersion(bot.id, version));
        if (one === undefined || two === undefined) throw new Error('no samples');
        await promptVersions.keep(one);
        await promptVersions.keep({ ...two, chosenAt: samples.now + 1 });
        await promptVersions.keep({ ...samples.promptVersion(bot.id, 'custom@a'), chosenAt: samples.now + 2 });
        await promptVersions.keep({ ...samples.promptVersion(bot.id, 'custom@a'), chosenAt: samples.now - 5 });
        const { items } = await promptVersions.list(bot.id, { limit: 10, order: 'asc' });
        expect(items).toEqual([
          { ...one, createdAt: samples.now, chosenAt: samples.now + 2 },
          { ...two, createdAt: samples.now + 1, chosenAt: samples.now + 1 },
        ]);
        expect(await promptVersions.get(bot.id, 'custom@b')).toEqual(items[1]);
        expect(await promptVersions.get(bot.id, 'custom@c')).toBeNull();
        await expect(promptVersions.keep(samples.promptVersion('bot_none'))).rejects.toMatchObject({
          code: 'bot_not_found',
        });
        await tenant.bots.delete(bot.id);
        expect((await promptVersions.list(bot.id, { limit: 10, order: 'asc' })).items).toEqual([]);
      });

      it('are taken over with their times, each once', async () => {
        const bot = samples.bot();
        await tenant.bots.create(bot);
        const taken = ['custom@a', 'custom@b', 'custom@a'].map((version, at) => ({
          ...samples.promptVersion(bot.id, version),
          createdAt: at,
          chosenAt: at + 10,
        }));
        await tenant.promptVersions.takeOver(bot.id, taken);
        const { items } = await tenant.promptVersions.list(bot.id, { limit: 10, order: 'asc' });
        expect(items).toEqual(taken.slice(0, 2));
        const other = { ...samples.promptVersion('bot_none'), createdAt: 1 };
        await expect(tenant.promptVersions.takeOver('bot_none', [other])).rejects.toMatchObject({
          code: 'bot_not_found',
        });
      });
    });

    describe('idempotency keys', () => {
      it('gives a key to one of many at once', async () => {
        const record = { key: 'race', fingerprint: 'f', createdAt: samples.now };
        const claims = await Promise.all(Array.from({ length: 100 }, () => tenant.idempotency.claim(record)));
        expect(claims.filter((holder) => holder === null)).toHaveLength(1);
        await tenant.idempotency.complete('race', { status: 201, body: '{"id":1}' });
        expect(await tenant.idempotency.claim(record)).toEqual({
          ...record,
          state: 'done',
          status: 201,
          body: '{"id":1}',
        });
        await tenant.idempotency.release('race');
        expect(await tenant.idempotency.claim(record)).not.toBeNull();
      });

      it('passes a key on to one of many who have seen the same holder', async () => {
        const record = { key: 'passed', fingerprint: 'f', body: 'msg_1', createdAt: samples.now };
        expect(await tenant.idempotency.claim(record)).toBeNull();
        await tenant.idempotency.complete('passed', { status: 200, body: 'msg_1' });
        const to = { body: 'msg_2', createdAt: samples.now + 1 };
        const tries = Array.from({ length: 10 }, () => tenant.idempotency.passOn('passed', { from: 'msg_1', to }));
        expect((await Promise.all(tries)).filter((isOurs) => isOurs)).toHaveLength(1);
        expect(await tenant.idempotency.claim(record)).toEqual({ ...record, ...to, state: 'running', status: null });
        expect(await tenant.idempotency.passOn('unknown', { from: 'msg_1', to })).toBe(false);
      });

      it('frees a released key and purges old ones and those of a dead process', async () => {
        const claim = (key: string, createdAt: number) =>
          tenant.idempotency.claim({ key, fingerprint: 'f', createdAt });
        const { leases } = store.system;
        await leases.live({ now: 0, expiresAt: Number.MAX_SAFE_INTEGER });
        await claim('released', samples.now);
        await tenant.idempotency.release('released');
        expect(await claim('released', Number.MAX_SAFE_INTEGER)).toBeNull();
        await claim('old', 1_000);
        await claim('abandoned', 3_000);
        await claim('done', 3_000);
        await tenant.idempotency.complete('done', { status: 200, body: '' });
        expect(await store.system.purgeIdempotency(2_000)).toBeGreaterThanOrEqual(1);
        expect(await claim('old', 4_000)).toBeNull();
        expect(await claim('abandoned', 4_000)).toMatchObject({ state: 'running' });
        expect(await claim('released', 4_000)).toMatchObject({ state: 'running' });
        await leases.end();
        expect(await store.system.purgeIdempotency(2_000)).toBeGreaterThanOrEqual(1);
        expect(await claim('abandoned', 4_000)).toBeNull();
        expect(await claim('done', 4_000)).toMatchObject({ state: 'done' });
      });
    });
  });
}
