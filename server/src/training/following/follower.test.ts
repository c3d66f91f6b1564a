import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createExactVectorStore } from '../../adapters/fakes/index.ts';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import type { StageContext } from '../../jobs/index.ts';
import { createIdMaker, createManualClock, type ManualClock, silentLogger } from '../../kernel/index.ts';
import type { Bot, Job, NewDocument, Source, Store, TenantStore } from '../../store/index.ts';
import { createSamples } from '../../store/store-samples.contract.ts';
import { type VectorStore, withLinkedGenerations } from '../../vector-store/index.ts';
import { createFollower, type Follower } from './follower.ts';
import { createTrainingActivity, type TrainingActivity } from './training-activity.ts';

const FIRST = 'fake/first@1:3';
const SECOND = 'fake/second@1:3';

/** A vector of each text's length, and a record of the texts. */
function createCountingEmbeddings(): EmbeddingGenerator & { readonly texts: string[]; onEmbed: () => Promise<void> } {
  const texts: string[] = [];
  return {
    profile: {
      id: 'fake/second',
      dimensions: 3,
      version: '1',
      maxTextsPerCall: 8,
      maxConcurrentCalls: 1,
      fusionWeight: 0.4,
      window: { words: 20, step: 15 },
      local: true,
    },
    generation: SECOND,
    texts,
    onEmbed: async () => {},
    async embed(batch) {
      await this.onEmbed();
      texts.push(...batch);
      return { vectors: batch.map(() => Float32Array.of(1, 0, 0)), inputTokens: 1 };
    },
  };
}

describe('follower', () => {
  const samples = createSamples('follower');
  let clock: ManualClock;
  let store: Store;
  let tenant: TenantStore;
  let vectors: VectorStore;
  let embeddings: ReturnType<typeof createCountingEmbeddings>;
  let activity: TrainingActivity;
  let announced: string[];
  let bot: Omit<Bot, 'tenantId'>;
  let tenantId: string;

  beforeEach(async () => {
    clock = createManualClock();
    ({ store } = openSqlite({ file: ':memory:', clock, logger: silentLogger }));
    await store.start();
    const owner = samples.tenant();
    tenantId = owner.id;
    await store.tenants.create(owner);
    tenant = store.forTenant(tenantId);
    bot = samples.bot();
    await tenant.bots.create(bot);
    vectors = withLinkedGenerations(createExactVectorStore(), () => [SECOND]);
    embeddings = createCountingEmbeddings();
    activity = createTrainingActivity(clock);
    announced = [];
  });
  afterEach(() => store.stop());

  const makeFollower = (): Follower =>
    createFollower({
      ...{ store, embeddings, vectors, activity, clock, logger: silentLogger },
      announce: async (jobId) => void announced.push(jobId),
      createId: createIdMaker(clock.now),
    });

  async function addSource(
    texts: readonly string[],
    changes: Partial<Source> = { status: 'ready' },
  ): Promise<{ readonly source: Omit<Source, 'tenantId'>; readonly document: NewDocument }> {
    const source = samples.source(bot.id, {
      counts: { documents: 1, chunks: texts.length, tokens: 1, reused: 0 },
      ...changes,
    });
    const document = samples.document(texts);
    await tenant.sources.create(source);
    await tenant.documents.add(bot.id, source.id, document);
    return { source, document };
  }

  async function claim(): Promise<Job | null> {
    const request = { owner: 'me', kinds: ['follow'], leaseMs: 600_000, maxPriority: null };
    return store.system.jobs.claim({ ...request, now: clock.now() });
  }

  function contextOf(job: Job, changes: Partial<StageContext> = {}): StageContext {
    return {
      job,
      lease: { jobId: job.id, fencingToken: job.fencingToken },
      signal: new AbortController().signal,
      progress: () => {},
      sliceOver: () => false,
      ...changes,
    };
  }

  /** Runs the next follow job, letting time pass. Null when there is none. */
  async function runNext(follower: Follower, changes: Partial<StageContext> = {}): Promise<Job | null> {
    const job = await claim();
    if (job === null) return null;
    let isOver = false;
    const stage = follower.handler.stages[job.stage];
    const run = stage?.(contextOf(job, changes)).finally(() => {
      isOver = true;
    });
    run?.catch(() => {});
    while (!isOver) await clock.advance(100);
    const result = await run;
    if (result !== undefined) await store.system.jobs.release(contextOf(job).lease, result, clock.now());
    return job;
  }

  const queuedJobs = async (): Promise<readonly Job[]> =>
    (await tenant.jobs.list({ limit: 100, order: 'asc' })).items.filter(({ state }) => state === 'queued');
  const inSecond = async (): Promise<readonly string[]> => {
    const namespace = { tenantId, botId: bot.id, generation: SECOND };
    const found = await vectors.search(namespace, { vector: Float32Array.of(1, 0, 0), limit: 100 });
    return found.map(({ chunkId }) => chunkId).sort();
  };
  const idsOf = (...documents: readonly NewDocument[]): string[] =>
    documents.flatMap(({ chunks }) => chunks.map(({ id }) => id)).sort();

  it('queues again what another process has run meanwhile', async () => {
    const [here, elsewhere] = [makeFollower(), makeFollower()];
    await addSource(['one']);
    const job = { tenantId, botId: bot.id } as Job;
    here.onTrained(job);
    await expect.poll(() => announced.length).toBe(1);
    here.onTrained(job);
    await runNext(elsewhere);
    await addSource(['two']);
    here.onTrained(job);
    await expect.poll(() => announced.length).toBe(2);
    expect(await runNext(elsewhere)).not.toBeNull();
    expect(embeddings.texts).toHaveLength(2);
  });

  it('queues one job a bot for what was trained, and completes every trained source', async () => {
    const follower = makeFollower();
    const one = await addSource(['one', 'two']);
    const other = await addSource(Array.from({ length: 30 }, (_, chunk) => `text ${chunk}`));
    await addSource(['unfinished'], { status: 'processing', stage: 'embedding' });
    expect(await follower.hasVectors({ tenantId, botId: bot.id })).toBe(false);
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(1);
    expect(await queuedJobs()).toMatchObject([{ id: announced[0], kind: 'follow', botId: bot.id, sourceId: null }]);

    const steps: [number, number][] = [];
    await runNext(follower, { progress: (done, total) => void steps.push([done, total]) });
    expect(steps.at(-1)).toEqual([32, 32]);
    expect(await inSecond()).toEqual(idsOf(one.document, other.document));
    expect(await tenant.chunks.countOf(other.source.id, SECOND)).toEqual({ chunks: 30, embedded: 30 });
    expect(await follower.hasVectors({ tenantId, botId: bot.id })).toBe(true);
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(2);
  });

  it('goes on where it was stopped', async () => {
    const follower = makeFollower();
    const { source } = await addSource(Array.from({ length: 30 }, (_, chunk) => `text ${chunk}`));
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(1);
    const controller = new AbortController();
    const stop = (): void => controller.abort(new Error('stopped'));
    const stopped = runNext(follower, {
      signal: controller.signal,
      progress: (done) => {
        if (done >= 12) stop();
      },
    });
    await expect(stopped).rejects.toThrow('stopped');
    const { embedded } = await tenant.chunks.countOf(source.id, SECOND);
    expect(embedded).toBe(12);
    embeddings.texts.length = 0;
    await clock.advance(700_000);
    await runNext(follower);
    expect(embeddings.texts).toHaveLength(18);
    expect(await inSecond()).toHaveLength(30);
  });

  it('gives its place to others, and comes back', async () => {
    const follower = makeFollower();
    await addSource(Array.from({ length: 30 }, (_, chunk) => `text ${chunk}`));
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(1);
    await runNext(follower, { sliceOver: () => true });
    expect(embeddings.texts).toHaveLength(12);
    expect(await queuedJobs()).toMatchObject([{ id: announced[0], attempts: 0 }]);
    await runNext(follower);
    expect(await inSecond()).toHaveLength(30);
  });

  it('waits while something is trained, but not for ever', async () => {
    const follower = makeFollower();
    await addSource(['one']);
    let endTraining = (): void => {};
    const training = activity.watched(
      {
        kind: 'train',
        firstStage: 'loading',
        stages: {
          loading: () =>
            new Promise((resolve) => {
              endTraining = () => resolve({ type: 'succeeded' });
            }),
        },
        onFailed: async () => {},
      },
      follower,
    );
    const trained = training.stages['loading']?.(contextOf({ ...samples.job({ botId: bot.id }), tenantId }));
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(1);
    const startedAt = clock.now();
    await runNext(follower);
    expect(clock.now() - startedAt).toBeGreaterThanOrEqual(20_000);
    expect(await inSecond()).toHaveLength(1);
    endTraining();
    await trained;
    await expect.poll(() => announced).toHaveLength(2);
    const endedAt = clock.now();
    await runNext(follower);
    expect(clock.now() - endedAt).toBeLessThan(1_000);
  });

  it('looks for what is missing at the start', async () => {
    await addSource(['one']);
    const follower = makeFollower();
    await follower.start();
    await expect.poll(() => announced).toHaveLength(1);
    await runNext(follower);
    await follower.stop();
    const restarted = makeFollower();
    await restarted.start();
    await restarted.stop();
    expect(await queuedJobs()).toEqual([]);
  });

  it('gives a new version the vectors of equal chunks before the old one goes', async () => {
    const follower = makeFollower();
    const old = await addSource(['same', 'old']);
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(1);
    await runNext(follower);
    embeddings.texts.length = 0;

    const next = samples.document(['same', 'new'], { state: 'building' });
    await tenant.documents.add(bot.id, old.source.id, next);
    const job = samples.job({ botId: bot.id, sourceId: old.source.id, stage: 'embedding', kind: 'follow' });
    await tenant.jobs.create(job);
    const claimed = await claim();
    if (claimed === null) throw new Error('nothing to claim');
    await follower.onEmbedding(contextOf(claimed));
    await store.system.jobs.release(contextOf(claimed).lease, { type: 'succeeded' }, clock.now());
    await tenant.documents.setState([next.document.id], 'searchable');
    await tenant.documents.delete([old.document.document.id]);
    await vectors.deleteDocuments({ tenantId, botId: bot.id, generation: FIRST }, [old.document.document.id]);
    expect(await inSecond()).toEqual([next.chunks[0]?.id]);

    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(2);
    await runNext(follower);
    expect(embeddings.texts).toHaveLength(1);
    expect(embeddings.texts[0]).toContain('new');
    expect(await inSecond()).toEqual(idsOf(next));
  });

  it('leaves nothing of what is deleted while its vectors are made', async () => {
    const follower = makeFollower();
    const { source, document } = await addSource(['one', 'two']);
    follower.onTrained({ ...samples.job({ botId: bot.id }), tenantId });
    await expect.poll(() => announced).toHaveLength(1);
    embeddings.onEmbed = async () => {
      await tenant.sources.delete(bot.id, source.id);
      await vectors.deleteDocuments({ tenantId, botId: bot.id, generation: FIRST }, [document.document.id]);
    };
    await runNext(follower);
    expect(await inSecond()).toEqual([]);
  });
});
