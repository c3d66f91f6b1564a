import { beforeAll, describe, expect, it } from 'vitest';
import { FIRST_CHUNK_SET } from './index-key.ts';
import type { Store, TenantRepositories, TenantStore } from './ports.ts';
import { createSamples, createTenantWithBot } from './store-samples.contract.ts';

const GENERATION = 'fake/model@1:2';
const PAGE = { limit: 100, order: 'asc' } as const;
const LATER = 1_800_000_000_000;

type Owner = Awaited<ReturnType<typeof fillTenant>>;

/** For every method of every repository: a call by a stranger who knows the owner's ids. */
type Attempts = {
  readonly [Repository in keyof TenantRepositories]: {
    readonly [Method in keyof TenantRepositories[Repository]]: (
      stranger: TenantRepositories[Repository],
      owner: Owner,
    ) => Promise<unknown>;
  };
};

const samples = createSamples('iso');

const PAGE_MET = {
  url: 'https://a.example/',
  address: 'https://a.example/',
  kind: 'page',
  depth: 0,
  lastmod: null,
} as const;

const ATTEMPTS: Attempts = {
  bots: {
    create: (stranger, owner) => stranger.create({ ...owner.bot, name: 'stolen' }),
    get: async (stranger, owner) => [await stranger.get(owner.bot.id), await stranger.get(owner.bot.slug)],
    list: (stranger) => stranger.list(PAGE),
    update: (stranger, owner) => stranger.update(owner.bot.id, { name: 'stolen', updatedAt: LATER }),
    contentRemovedAt: (stranger, owner) => stranger.contentRemovedAt(owner.bot.id),
    delete: (stranger, owner) => stranger.delete(owner.bot.id),
  },
  sources: {
    create: (stranger, owner) => stranger.create(samples.source(owner.bot.id)),
    createMany: (stranger, owner) => stranger.createMany(owner.bot.id, [samples.source(owner.bot.id)]),
    get: (stranger, owner) => stranger.get(owner.bot.id, owner.source.id),
    getByExternalKey: (stranger, owner) => stranger.getByExternalKey(owner.bot.id, 'key-1'),
    list: (stranger, owner) => stranger.list(owner.bot.id, PAGE),
    update: (stranger, owner) => stranger.update(owner.source.id, { title: 'stolen', updatedAt: LATER }),
    delete: (stranger, owner) => stranger.delete(owner.bot.id, owner.source.id),
    keyed: (stranger, owner) => stranger.keyed(owner.bot.id, { prefix: '', after: 0, limit: 100 }),
    findIds: (stranger, owner) => stranger.findIds(owner.bot.id, { type: 'and', filters: [] }),
  },
  pages: {
    meet: (stranger, owner) => stranger.meet(owner.source.id, 'stolen', [PAGE_MET]).catch(() => null),
    get: (stranger, owner) => stranger.get(owner.source.id, PAGE_MET.url),
    nextPending: (stranger, owner) => stranger.nextPending(owner.source.id, 'run', 10),
    settle: (stranger, owner) =>
      stranger.settle(owner.source.id, PAGE_MET.url, { state: 'left-out', lastError: null, copy: null }),
    countOf: async (stranger, owner) => {
      const counts = Object.values(await stranger.countOf(owner.source.id, 'run'));
      return counts.every((count) => count === 0) ? null : counts;
    },
    list: (stranger, owner) => stranger.list(owner.source.id, 'run'),
    retryFailed: (stranger, owner) => stranger.retryFailed(owner.source.id, 'run'),
    forgetOthers: (stranger, owner) => stranger.forgetOthers(owner.source.id, 'stolen'),
  },
  documents: {
    add: (stranger, owner) => stranger.add(owner.bot.id, owner.source.id, samples.document(['planted'])),
    addMany: (stranger, owner) =>
      stranger.addMany({ botId: owner.bot.id }, [{ ...samples.document(['planted']), sourceId: owner.source.id }]),
    addChunkSet: (stranger, owner) =>
      stranger.addChunkSet(owner.document.document.id, 'other@1', samples.document(['planted']).chunks),
    withoutChunkSet: (stranger, owner) => stranger.withoutChunkSet({ botId: owner.bot.id, chunkSet: 'other@1' }, 100),
    get: (stranger, owner) => stranger.get(owner.document.document.id),
    getMany: (stranger, owner) => stranger.getMany([owner.document.document.id]),
    list: (stranger, owner) => stranger.list(owner.source.id, PAGE),
    idsOf: (stranger, owner) => stranger.idsOf(owner.source.id, ['building', 'searchable', 'refused']),
    fingerprints: (stranger, owner) => stranger.fingerprints(owner.bot.id, { after: 0, limit: 100 }),
    setState: (stranger, owner) => stranger.setState([owner.document.document.id], 'refused'),
    delete: (stranger, owner) => stranger.delete([owner.document.document.id]),
  },
  chunks: {
    list: (stranger, owner) => stranger.list(owner.document.document.id, PAGE),
    getSearchable: (stranger, owner) => stranger.getSearchable(owner.bot.id, owner.chunkIds),
    withoutVectors: (stranger, owner) => stranger.withoutVectors(owner.source.id, 'other/model@1:2', { limit: 100 }),
    countOf: async (stranger, owner) => {
      const { chunks, embedded } = await stranger.countOf(owner.source.id, GENERATION);
      return chunks + embedded === 0 ? null : { chunks, embedded };
    },
    countOfDocuments: async (stranger, owner) =>
      (await stranger.countOfDocuments([owner.document.document.id])) === 0 ? null : 'counted',
    countOfBot: async (stranger, owner) => {
      const { chunks, embedded } = await stranger.countOfBot(owner.bot.id, GENERATION);
      return chunks + embedded === 0 ? null : { chunks, embedded };
    },
    withoutVectorsOfBot: (stranger, owner) => stranger.withoutVectorsOfBot(owner.bot.id, 'other/model@1:2', 100),
    sample: (stranger, owner) => stranger.sample(owner.bot.id, FIRST_CHUNK_SET, 100),
    findVectors: async (stranger, owner) => [
      ...(await stranger.findVectors(
        GENERATION,
        owner.document.chunks.map(({ hash }) => hash),
      )),
    ],
    vectorsOf: (stranger, owner) => stranger.vectorsOf(owner.bot.id, GENERATION, owner.chunkIds),
    countVectors: async (stranger, owner) => (await stranger.countVectors(owner.bot.id, GENERATION)) || null,
    textsOf: async (stranger, owner) => [...(await stranger.textsOf(owner.bot.id, owner.chunkIds))],
    hasVectors: async (stranger, owner) => (await stranger.hasVectors(owner.bot.id, GENERATION)) || null,
    holdQuotes: async (stranger, owner) =>
      (
        await stranger.holdQuotes(
          owner.bot.id,
          owner.chunkIds.map((chunkId) => ({ chunkId, sourceId: owner.source.id, quote: 'secret' })),
        )
      ).filter((holds) => holds),
    putVectors: (stranger, owner) =>
      stranger.putVectors(
        GENERATION,
        owner.chunkIds.map((chunkId) => ({ chunkId, windows: [new Float32Array([9, 9])] })),
      ),
  },
  syncRuns: {
    create: (stranger, owner) => stranger.create(samples.syncRun(owner.bot.id), []),
    get: (stranger, owner) => stranger.get(owner.bot.id, owner.syncRun.id),
    list: (stranger, owner) => stranger.list(owner.bot.id, PAGE),
    update: (stranger, owner) => stranger.update(owner.syncRun.id, { status: 'cancelled' }),
    items: (stranger, owner) =>
      stranger.items(owner.syncRun.id, { actions: ['delete'], states: ['asked'], limit: 100 }),
    findItem: (stranger, owner) => stranger.findItem(owner.syncRun.id, 'key-1'),
    count: (stranger, owner) => stranger.count(owner.syncRun.id),
    setState: (stranger, owner) =>
      stranger.setState(owner.syncRun.id, { externalKeys: ['key-1'], action: 'delete', state: 'done' }),
    noteUpload: (stranger, owner) => stranger.noteUpload(owner.bot.id, 'key-1'),
  },
  generations: {
    create: (stranger, owner) => stranger.create(samples.generation(owner.bot.id)),
    get: (stranger, owner) => stranger.get(owner.bot.id, owner.generation.id),
    active: (stranger, owner) => stranger.active(owner.bot.id),
    list: (stranger, owner) => stranger.list(owner.bot.id, PAGE),
    inStates: (stranger, owner) => stranger.inStates(owner.bot.id, ['active', 'building']),
    ofBots: (stranger, owner) => stranger.ofBots([owner.bot.id], ['active', 'building']),
    lacking: (stranger, owner) => stranger.lacking([owner.bot.id], 'other/model@1:2#auto@1'),
    update: (stranger, owner) => stranger.update(owner.generation.id, { policy: 'manual', updatedAt: LATER }),
    delete: (stranger, owner) => stranger.delete(owner.generation.id),
    removeVectors: async (stranger, owner) => (await stranger.removeVectors(owner.bot.id, GENERATION, 100)) > 0,
    removeChunks: async (stranger, owner) => (await stranger.removeChunks(owner.bot.id, FIRST_CHUNK_SET, 100)) > 0,
  },
  goldenQuestions: {
    create: (stranger, owner) => stranger.create(samples.goldenQuestion(owner.bot.id)),
    list: (stranger, owner) => stranger.list(owner.bot.id, PAGE),
    delete: (stranger, owner) => stranger.delete(owner.bot.id, owner.goldenQuestion.id),
  },
  promptVersions: {
    keep: (stranger, owner) => stranger.keep({ ...samples.promptVersion(owner.bot.id), chosenAt: LATER }),
    takeOver: (stranger, owner) =>
      stranger.takeOver(owner.bot.id, [{ ...samples.promptVersion(owner.bot.id), createdAt: LATER }]),
    get: (stranger, owner) => stranger.get(owner.bot.id, 'custom@1'),
    list: (stranger, owner) => stranger.list(owner.bot.id, PAGE),
  },
  jobs: {
    create: (stranger, owner) => stranger.create({ ...owner.job, kind: 'stolen' }),
    get: (stranger, owner) => stranger.get(owner.job.id),
    list: (stranger) => stranger.list(PAGE),
    requestCancel: (stranger, owner) => stranger.requestCancel(owner.job.id, LATER),
    retry: (stranger, owner) => stranger.retry(owner.failedJob.id, { now: LATER, deadlineAt: LATER }),
  },
  conversations: {
    create: (stranger, owner) => stranger.create(samples.conversation(owner.bot.id)),
    get: (stranger, owner) => stranger.get(owner.conversation.id),
    list: async (stranger, owner) => [
      await stranger.list(PAGE),
      await stranger.list({ ...PAGE, botId: owner.bot.id }),
      await stranger.list({ ...PAGE, endUser: 'user-1' }),
    ],
    update: (stranger, owner) => stranger.update(owner.conversation.id, { title: 'stolen', updatedAt: LATER }),
    delete: (stranger, owner) => stranger.delete(owner.conversation.id),
  },
  messages: {
    append: (stranger, owner) => stranger.append(samples.message(owner.bot.id, owner.conversation.id)),
    get: (stranger, owner) => stranger.get(owner.message.id),
    list: (stranger, owner) => stranger.list(owner.conversation.id, PAGE),
  },
  apiKeys: {
    create: (stranger, owner) => stranger.create({ ...owner.apiKey, name: 'stolen' }),
    get: (stranger, owner) => stranger.get(owner.apiKey.id),
    list: (stranger) => stranger.list(PAGE),
    revoke: (stranger, owner) => stranger.revoke(owner.apiKey.id, LATER),
  },
  usage: {
    list: (stranger) => stranger.list(PAGE),
    summarize: async (stranger) => {
      const { groups, total } = await stranger.summarize({ groupBy: ['tenant', 'model'], limit: 100, order: 'asc' });
      return total.calls === 0 ? groups : total;
    },
  },
  idempotency: {
    claim: (stranger) => stranger.claim({ key: 'idem-1', fingerprint: 'stolen', createdAt: LATER }),
    complete: (stranger) => stranger.complete('idem-1', { status: 500, body: 'stolen' }),
    release: (stranger) => stranger.release('idem-1'),
    passOn: async (stranger) => {
      const to = { body: 'stolen', createdAt: LATER };
      return (await stranger.passOn('idem-1', { from: 'held', to })) ? 'stolen' : null;
    },
  },
};

/** No method of a tenant's handle sees or changes the rows of another tenant, even with the right ids in hand. */
export function describeTenantIsolation(name: string, open: () => Promise<Store>): void {
  describe(`tenant isolation: ${name}`, () => {
    let store: Store;
    beforeAll(async () => {
      store = await open();
    });

    const cases = Object.entries(ATTEMPTS).flatMap(([repository, methods]) =>
      Object.entries(methods).map(([method, attempt]) => ({ repository, method, attempt })),
    );

    it.each(cases)('$repository, $method', async ({ repository, attempt }) => {
      const owner = await fillTenant(store);
      const before = await everythingOf(store, owner);
      const strangerTenant = samples.tenant();
      await store.tenants.create(strangerTenant);
      const stranger = store.forTenant(strangerTenant.id);

      const act = attempt as (handle: unknown, owner: Owner) => Promise<unknown>;
      const answer = await act(stranger[repository as keyof TenantRepositories], owner).catch(() => null);

      expect(itemsIn(answer)).toEqual([]);
      expect(await everythingOf(store, owner)).toEqual(before);
    });

    it('covers every method there is', () => {
      const handle = store.forTenant('tnt_any');
      for (const [repository, attempts] of Object.entries(ATTEMPTS)) {
        const methods = Object.keys(handle[repository as keyof TenantRepositories]);
        expect(Object.keys(attempts).sort()).toEqual(methods.sort());
      }
    });

    it('keeps a cursor of another tenant from placing a page', async () => {
      const owner = await fillTenant(store);
      const { tenant, botId } = await createTenantWithBot(store, samples);
      await tenant.sources.create(samples.source(botId));
      expect((await tenant.sources.list(botId, { ...PAGE, after: owner.source.id })).items).toEqual([]);
    });

    it('does not let a job of another tenant fence a transaction', async () => {
      const owner = await fillTenant(store);
      const claimed = await store.system.jobs.claim({
        owner: 'worker',
        kinds: ['isolated'],
        now: LATER,
        leaseMs: 1,
        maxPriority: null,
      });
      expect(claimed?.id).toBeDefined();
      const { tenant } = await createTenantWithBot(store, samples);
      const lease = { jobId: claimed?.id ?? '', fencingToken: claimed?.fencingToken ?? 0 };
      await expect(tenant.fencedTransaction(lease, async () => 'done')).rejects.toMatchObject({
        code: 'job_lease_lost',
      });
      expect(await store.forTenant(owner.tenantId).jobs.get(owner.job.id)).not.toBeNull();
    });
  });
}

async function fillTenant(store: Store) {
  const tenantRow = samples.tenant();
  await store.tenants.create(tenantRow);
  const tenant = store.forTenant(tenantRow.id);
  const bot = samples.bot();
  const source = samples.source(bot.id, { externalKey: 'key-1', metadata: { team: 'a' } });
  const document = samples.document(['first secret', 'second secret']);
  const chunkIds = document.chunks.map(({ id }) => id);
  const generation = samples.generation(bot.id, { state: { type: 'active', at: samples.now } });
  const goldenQuestion = samples.goldenQuestion(bot.id);
  const job = samples.job({ botId: bot.id, sourceId: source.id, kind: 'isolated' });
  const failedJob = samples.job({ state: 'failed', finishedAt: samples.now });
  const conversation = samples.conversation(bot.id);
  const message = samples.message(bot.id, conversation.id);
  const apiKey = samples.apiKey();
  const usage = samples.usage();
  await tenant.bots.create(bot);
  await tenant.sources.create(source);
  await tenant.pages.meet(source.id, 'run', [PAGE_MET]);
  await tenant.documents.add(bot.id, source.id, document);
  await tenant.chunks.putVectors(
    GENERATION,
    chunkIds.map((chunkId) => ({ chunkId, windows: [new Float32Array([0.6, 0.8])] })),
  );
  const syncRun = samples.syncRun(bot.id);
  await tenant.syncRuns.create(syncRun, [
    { action: 'delete', externalKey: 'key-1', sourceId: source.id, metadata: null },
  ]);
  await tenant.generations.create(generation);
  await tenant.goldenQuestions.create(goldenQuestion);
  await tenant.promptVersions.keep(samples.promptVersion(bot.id));
  await tenant.jobs.create(job);
  await tenant.jobs.create(failedJob);
  await tenant.conversations.create(conversation);
  await tenant.messages.append(message);
  await tenant.apiKeys.create(apiKey);
  await store.system.usage.add([{ ...usage, tenantId: tenantRow.id }], []);
  await tenant.idempotency.claim({ key: 'idem-1', fingerprint: 'f', body: 'held', createdAt: samples.now });
  return {
    tenantId: tenantRow.id,
    bot,
    source,
    document,
    chunkIds,
    syncRun,
    generation,
    goldenQuestion,
    job,
    failedJob,
    conversation,
    message,
    apiKey,
    usage,
  };
}

/** What the owner can read of all its rows. */
async function everythingOf(store: Store, owner: Owner): Promise<unknown> {
  const tenant: TenantStore = store.forTenant(owner.tenantId);
  const hashes = owner.document.chunks.map(({ hash }) => hash);
  return {
    bots: await tenant.bots.list(PAGE),
    sources: await tenant.sources.list(owner.bot.id, PAGE),
    pages: await tenant.pages.list(owner.source.id, 'run'),
    documents: await tenant.documents.getMany([owner.document.document.id]),
    documentIds: await tenant.documents.idsOf(owner.source.id, ['building', 'searchable', 'refused']),
    chunks: await tenant.chunks.getSearchable(owner.bot.id, owner.chunkIds),
    counts: await tenant.chunks.countOf(owner.source.id, GENERATION),
    vectors: [...(await tenant.chunks.findVectors(GENERATION, hashes))],
    syncRuns: await tenant.syncRuns.list(owner.bot.id, PAGE),
    syncItems: await tenant.syncRuns.findItem(owner.syncRun.id, 'key-1'),
    generations: await tenant.generations.list(owner.bot.id, PAGE),
    goldenQuestions: await tenant.goldenQuestions.list(owner.bot.id, PAGE),
    promptVersions: await tenant.promptVersions.list(owner.bot.id, PAGE),
    jobs: (await tenant.jobs.list(PAGE)).items,
    conversations: await tenant.conversations.list(PAGE),
    messages: await tenant.messages.list(owner.conversation.id, PAGE),
    apiKeys: await tenant.apiKeys.list(PAGE),
    usage: await tenant.usage.list(PAGE),
    idempotency: await tenant.idempotency.claim({ key: 'idem-1', fingerprint: 'again', createdAt: LATER }),
  };
}

/** Everything in an answer that is not a way of saying "nothing". */
function itemsIn(answer: unknown): readonly unknown[] {
  if (answer === null || answer === undefined || answer === false) return [];
  if (Array.isArray(answer)) return answer.flatMap(itemsIn);
  if (typeof answer === 'object' && 'items' in answer) return itemsIn(answer.items);
  return [answer];
}
