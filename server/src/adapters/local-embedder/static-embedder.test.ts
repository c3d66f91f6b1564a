import { afterAll, describe, expect, it } from 'vitest';
import { describeEmbedderContract } from '../../embeddings/embedder.contract.ts';
import { dot, type WordVectorCache } from '../../embeddings/index.ts';
import { AppError, type Clock, createManualClock, silentLogger, systemClock } from '../../kernel/index.ts';
import { createStaticEmbedder } from './static-embedder.ts';
import type { UseLiteModel } from './use-lite-model.ts';
import { createUseLiteModel } from './use-lite-model.ts';

type Teacher = Pick<UseLiteModel, 'embed'>;

function createMemoryCache(): WordVectorCache & { readonly kept: Map<string, Float32Array> } {
  const kept = new Map<string, Float32Array>();
  return {
    kept,
    getMany: async (_model, words) =>
      new Map(words.flatMap((word) => (kept.has(word) ? [[word, kept.get(word) ?? new Float32Array()] as const] : []))),
    putMany: async (_model, vectors) => {
      for (const [word, vector] of vectors) kept.set(word, vector);
    },
  };
}

/** Points each word in a direction of its own and records what it was asked. */
function createRecordingTeacher(): Teacher & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    embed: async (words) => {
      asked.push(...words);
      return words.map((word) => Float32Array.from({ length: 512 }, (_, d) => Math.sin((d + 1) * word.length)));
    },
  };
}

const silentTeacher: Teacher = { embed: () => new Promise(() => {}) };

const makeEmbedder = (teacher: Teacher, { cache = createMemoryCache(), clock = createManualClock() as Clock } = {}) =>
  createStaticEmbedder({ wordVectors: cache, teacher, clock, logger: silentLogger });

const model = createUseLiteModel();
afterAll(() => model.stop());
describeEmbedderContract(
  'local/static-en',
  () =>
    createStaticEmbedder({
      wordVectors: createMemoryCache(),
      teacher: model,
      clock: systemClock,
      logger: silentLogger,
    }),
  { knowsMeaning: true },
);

describe('static embedder', () => {
  it('names its space by the table', () => {
    const { profile } = makeEmbedder(silentTeacher);
    expect(profile).toMatchObject({ id: 'local/static-en', dimensions: 256, window: { words: 40, step: 40 } });
    expect(profile.version).toMatch(/^2-[0-9a-f]{8}$/);
  });

  it('refuses another width', async () => {
    const call = makeEmbedder(silentTeacher).doEmbed(['a'], { purpose: 'query', dimensions: 128 });
    await expect(call).rejects.toMatchObject({ code: 'embedding_dimension_mismatch', param: 'dimensions' });
  });

  it('gives way in the background alone', async () => {
    let asked = 0;
    const embedder = createStaticEmbedder({
      ...{ wordVectors: createMemoryCache(), teacher: silentTeacher, clock: createManualClock(), logger: silentLogger },
      giveWay: () => {
        asked += 1;
        return asked === 1 ? new Promise((_, reject) => reject(new Error('gave way'))) : undefined;
      },
    });
    await embedder.doEmbed(['the house'], { purpose: 'query' });
    // A question has the statements of its passages embedded as documents.
    await embedder.doEmbed(['the house'], { purpose: 'document' });
    expect(asked).toBe(0);
    const training = { purpose: 'document', background: true } as const;
    await expect(embedder.doEmbed(['the house'], training)).rejects.toThrow('gave way');
    await expect(embedder.doEmbed(['the house'], training)).resolves.toMatchObject({ inputTokens: 2 });
  });

  it('asks the teacher once for each unseen word, and never again with the same cache', async () => {
    const cache = createMemoryCache();
    const teacher = createRecordingTeacher();
    const embedder = makeEmbedder(teacher, { cache });
    const texts = ['the flurbolator and the gizmotron', 'a flurbolator'];
    const [first] = (await embedder.doEmbed(texts, { purpose: 'document' })).vectors;
    await embedder.doEmbed(texts, { purpose: 'document' });
    expect(teacher.asked.sort()).toEqual(['flurbolator', 'gizmotron']);

    const restarted = makeEmbedder(silentTeacher, { cache });
    const [again] = (await restarted.doEmbed(texts, { purpose: 'document' })).vectors;
    expect(dot(again ?? new Float32Array(), first ?? new Float32Array())).toBeCloseTo(1, 5);
  });

  it('shares the lessons of calls at the same time', async () => {
    const teacher = createRecordingTeacher();
    const embedder = makeEmbedder(teacher);
    await Promise.all(
      ['x flurbolator', 'y flurbolator'].map((text) => embedder.doEmbed([text], { purpose: 'document' })),
    );
    expect(teacher.asked).toEqual(['flurbolator']);
  });

  it('does not ask about numbers, identifiers, other scripts or endless letters', async () => {
    const teacher = createRecordingTeacher();
    const junk = 'aGVsbG8gd29ybGQxMjM0NTY3 4f9c2b7a1d3e5f60 123456 слово 単語 zzzzzzzzzz xkcdqwrtplm'.concat(
      ` ${'q'.repeat(400)}`,
    );
    const result = await makeEmbedder(teacher).doEmbed([junk], { purpose: 'document' });
    expect(teacher.asked).toEqual([]);
    expect(result.provisional).toBeUndefined();
  });

  it('lets a query go without unseen words when the teacher is slow, and has them the next time', async () => {
    const clock = createManualClock();
    let teach = (): void => {};
    const taught = new Promise<void>((resolve) => {
      teach = resolve;
    });
    const recording = createRecordingTeacher();
    const cache = createMemoryCache();
    let onAsked = (): void => {};
    const asked = new Promise<void>((resolve) => {
      onAsked = resolve;
    });
    const slow: Teacher = {
      embed: (words, options) => {
        onAsked();
        return taught.then(() => recording.embed(words, options));
      },
    };
    const embedder = makeEmbedder(slow, { clock, cache });
    await embedder.start();

    const first = embedder.doEmbed(['reset the flurbolator'], { purpose: 'query' });
    await asked;
    await clock.advance(40);
    expect(await first).toMatchObject({ provisional: true });

    const document = embedder.doEmbed(['flurbolator'], { purpose: 'document' });
    teach();
    await document;
    const second = await embedder.doEmbed(['reset the flurbolator'], { purpose: 'query' });
    expect(second.provisional).toBeUndefined();
    expect(second.vectors[0]).not.toEqual((await first).vectors[0]);
  });

  it('learns few words of a query, and keeps none of them for good', async () => {
    const cache = createMemoryCache();
    const teacher = createRecordingTeacher();
    const embedder = makeEmbedder(teacher, { cache, clock: systemClock });
    const syllables = ['ba', 'do', 'fi', 'gu', 'ke', 'lo', 'mi', 'nu', 'pa', 're'];
    const words = syllables.flatMap((one) => syllables.map((two) => `zu${one}${two}vex`));
    const ask = () => embedder.doEmbed([words.join(' ')], { purpose: 'query' });
    await ask();
    await expect.poll(() => teacher.asked.length, { interval: 1 }).toBe(32);
    await expect.poll(async () => (await ask()).provisional, { interval: 1, timeout: 10_000 }).toBeUndefined();
    const first = await ask();
    expect((await ask()).vectors).toEqual(first.vectors);
    expect(teacher.asked).toEqual(words.slice(0, 32));
    expect(cache.kept.size).toBe(0);

    await embedder.doEmbed([words.join(' ')], { purpose: 'document' });
    expect(teacher.asked).toHaveLength(100);
    expect([...cache.kept.keys()]).toEqual(words.slice(32));
  });

  it('answers queries when the teacher fails, but not documents', async () => {
    const broken: Teacher = {
      embed: () => Promise.reject(new AppError('embedding_failed', 'ended', { retryable: true })),
    };
    const embedder = makeEmbedder(broken);
    expect(await embedder.doEmbed(['the flurbolator'], { purpose: 'query' })).toMatchObject({ provisional: true });
    const document = embedder.doEmbed(['the flurbolator'], { purpose: 'document' });
    await expect(document).rejects.toMatchObject({ code: 'embedding_failed', retryable: true });
  });

  it('works without the cache when the database is away', async () => {
    const away = () => Promise.reject(new AppError('database_unavailable', 'away'));
    const cache = { ...createMemoryCache(), getMany: away, putMany: away };
    const result = await makeEmbedder(createRecordingTeacher(), { cache }).doEmbed(['flurbolator'], {
      purpose: 'document',
    });
    expect(result.vectors[0]?.some((value) => value !== 0)).toBe(true);
  });

  it('lets a caller leave in the middle of a long text or lesson', async () => {
    const embedder = makeEmbedder(silentTeacher);
    const controller = new AbortController();
    const call = embedder.doEmbed(['flurbolator '.repeat(50_000)], { purpose: 'document', signal: controller.signal });
    setImmediate(() => controller.abort(new Error('left')));
    await expect(call).rejects.toThrow('left');
  });
});
