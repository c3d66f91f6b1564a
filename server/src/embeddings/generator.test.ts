import { describe, expect, it } from 'vitest';
import { createFakeEmbedder, type FakeEmbedderOptions } from '../adapters/fakes/index.ts';
import { createMemoryByteCache } from '../cache/index.ts';
import { AppError, type Clock, type Labels, type Meter, silentLogger, silentMeter } from '../kernel/index.ts';
import { createEmbeddingGenerator, type EmbeddingGeneratorOptions } from './generator.ts';
import type { Embedder, EmbeddingCall, EmbeddingResult } from './ports.ts';

const DOCUMENT = { purpose: 'document' } as const;
const QUERY = { purpose: 'query' } as const;
const retryable = () => new AppError('provider_error', 'try again', { retryable: true });

/** Every sleep is over at once. */
const restlessClock: Clock = { now: () => 0, sleep: async () => {} };

const make = (embedder: Embedder, options: Partial<EmbeddingGeneratorOptions> = {}) =>
  createEmbeddingGenerator({
    embedder,
    clock: restlessClock,
    meter: silentMeter,
    logger: silentLogger,
    random: () => 0,
    ...options,
  });

const makeFake = (options: FakeEmbedderOptions = {}) => {
  const fake = createFakeEmbedder(options);
  return { fake, generator: make(fake) };
};

const remote = { local: false } as const;

/** An embedder that answers whatever it is told to. */
const answering = (result: Partial<EmbeddingResult>): Embedder => ({
  ...createFakeEmbedder({ dimensions: 2 }),
  doEmbed: async () => ({ vectors: [], inputTokens: 0, ...result }),
});

/** Held calls of a fake, let go one by one. */
function createGate() {
  const held: (() => void)[] = [];
  return { hold: () => new Promise<void>((resolve) => void held.push(resolve)), release: () => held.shift()?.(), held };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('embedding generator', () => {
  it('names the vector space', () => {
    expect(makeFake().generator.generation).toBe('fake/words@1:32');
  });

  it('splits by the profile, within its concurrency, and keeps the order', async () => {
    const { fake, generator } = makeFake({ profile: { maxTextsPerCall: 3, maxConcurrentCalls: 2 }, hold: turn });
    const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`);
    const { vectors } = await generator.embed(texts, DOCUMENT);
    expect(fake.calls.map((call) => call.texts.length)).toEqual([3, 3, 3, 3, 3, 3, 2]);
    expect(fake.mostAtOnce()).toBe(2);
    const alone = await createFakeEmbedder().doEmbed(texts.slice(13, 14), DOCUMENT);
    expect(vectors[13]).toEqual(alone.vectors[0]);
  });

  it('tells of every call that it makes, also of those that fail', async () => {
    const told: string[] = [];
    let fails = true;
    const fake = createFakeEmbedder({ profile: { ...remote, maxTextsPerCall: 2 } });
    const flaky: Embedder = {
      ...fake,
      async doEmbed(texts, request) {
        const failing = fails && texts.includes('c');
        fails = fails && !failing;
        if (failing) throw retryable();
        return fake.doEmbed(texts, request);
      },
    };
    const onCall = ({ texts, outcome, errorCode }: EmbeddingCall): void =>
      void told.push(`${texts.join('')} ${outcome} ${errorCode}`);
    const generator = make(flaky);
    await generator.embed(['a', 'b', 'c'], { ...DOCUMENT, onCall });
    expect(told.toSorted()).toEqual(['ab ok null', 'c failed provider_error', 'c ok null']);
    await generator.embed(['d'], { ...DOCUMENT, onCall });
    expect(told.at(-1)).toBe('d ok null');
  });

  it('embeds equal texts once and blank ones never, and hands out vectors of their own', async () => {
    const { fake, generator } = makeFake();
    const { vectors } = await generator.embed(['a b', '', 'a b', ' \n'], DOCUMENT);
    expect(fake.calls.map(({ texts }) => texts)).toEqual([['a b']]);
    expect(vectors[0]).toEqual(vectors[2]);
    expect(vectors[0]).not.toBe(vectors[2]);
    expect(vectors[1]).toEqual(new Float32Array(32));
    expect(await generator.embed([], DOCUMENT)).toEqual({ vectors: [], inputTokens: 0, fromMemory: true });
  });

  it('remembers queries, but not documents, other widths or provisional vectors', async () => {
    const { fake, generator } = makeFake();
    const [first] = (await generator.embed(['q'], QUERY)).vectors;
    first?.fill(9);
    const again = await generator.embed(['q'], QUERY);
    expect(again.inputTokens).toBe(0);
    expect(again.vectors[0]).not.toEqual(first);
    expect(fake.calls).toHaveLength(1);
    await generator.embed(['q'], { ...QUERY, dimensions: 8 });
    await generator.embed(['q'], DOCUMENT);
    await generator.embed(['q'], DOCUMENT);
    expect(fake.calls).toHaveLength(4);

    const generatorOfDrafts = make(answering({ vectors: [Float32Array.of(1, 0)], provisional: true }));
    expect(await generatorOfDrafts.embed(['q'], QUERY)).toMatchObject({ provisional: true });
    expect(await generatorOfDrafts.embed(['q'], QUERY)).toMatchObject({ provisional: true });
  });

  it('joins single requests to a remote embedder, shares a text between them, and splits the tokens', async () => {
    const { fake, generator } = makeFake({ profile: remote });
    const results = await Promise.all(['a', 'b c', 'a'].map((text) => generator.embed([text], QUERY)));
    expect(fake.calls.map(({ texts }) => texts)).toEqual([['a', 'b c']]);
    expect(results[0]?.vectors).toEqual(results[2]?.vectors);
    expect(results.map(({ inputTokens }) => inputTokens)).toEqual([1, 2, 1]);
  });

  it('embeds a query once that several ask at the same time, and outlives those who leave', async () => {
    const gate = createGate();
    const { fake, generator } = makeFake({ hold: gate.hold });
    const controller = new AbortController();
    const left = generator.embed(['q'], { ...QUERY, signal: controller.signal });
    const stays = generator.embed(['q'], QUERY);
    await turn();
    controller.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    gate.release();
    expect((await stays).vectors).toHaveLength(1);
    expect(fake.calls).toHaveLength(1);
  });

  it('tries failures of a remote embedder again that may pass, and no others', async () => {
    const passing = makeFake({ profile: remote, failures: [retryable(), retryable()] });
    await expect(passing.generator.embed(['a', 'b'], DOCUMENT)).resolves.toBeDefined();
    expect(passing.fake.calls).toHaveLength(3);

    const lasting = makeFake({ profile: remote, failures: [new AppError('provider_authentication_failed', 'no')] });
    await expect(lasting.generator.embed(['a', 'b'], DOCUMENT)).rejects.toMatchObject({
      code: 'provider_authentication_failed',
    });
    expect(lasting.fake.calls).toHaveLength(1);

    const local = makeFake({ failures: [retryable()] });
    await expect(local.generator.embed(['a'], DOCUMENT)).rejects.toMatchObject({ code: 'provider_error' });
  });

  it('spares the others of a joint call a text that the provider refuses', async () => {
    const fake = createFakeEmbedder({ profile: remote });
    const picky: Embedder = {
      ...fake,
      doEmbed: (texts, options) =>
        texts.includes('bad')
          ? Promise.reject(new AppError('provider_rejected_request', 'bad text'))
          : fake.doEmbed(texts, options),
    };
    const generator = make(picky);
    const outcomes = await Promise.allSettled(['good', 'bad', 'fine'].map((text) => generator.embed([text], QUERY)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('lets queries overtake documents that wait', async () => {
    const gate = createGate();
    const { fake, generator } = makeFake({ profile: { maxTextsPerCall: 1, maxConcurrentCalls: 1 }, hold: gate.hold });
    const documents = generator.embed(['d1', 'd2', 'd3'], DOCUMENT);
    await turn();
    const query = generator.embed(['q'], QUERY);
    for (let call = 0; call < 4; call += 1) {
      gate.release();
      await turn();
    }
    await Promise.all([documents, query]);
    expect(fake.calls.map(({ texts }) => texts[0])).toEqual(['d1', 'q', 'd2', 'd3']);
  });

  it('stops at once when the caller leaves, and frees the lane', async () => {
    const gate = createGate();
    const { fake, generator } = makeFake({ profile: { maxTextsPerCall: 1, maxConcurrentCalls: 1 }, hold: gate.hold });
    const controller = new AbortController();
    const call = generator.embed(['a', 'b'], { ...DOCUMENT, signal: controller.signal });
    await turn();
    controller.abort(new Error('left'));
    await expect(call).rejects.toThrow('left');
    const next = generator.embed(['c'], QUERY);
    await turn();
    gate.release();
    gate.release();
    await next;
    expect(fake.calls.map(({ texts }) => texts[0])).toEqual(['a', 'c']);
  });

  it('ends the other calls of a request when one fails', async () => {
    const { fake, generator } = makeFake({
      profile: { maxTextsPerCall: 1, maxConcurrentCalls: 1 },
      failures: [new Error('broken')],
    });
    const call = generator.embed(['a', 'b', 'c'], DOCUMENT);
    await expect(call).rejects.toMatchObject({ code: 'embedding_failed', retryable: true });
    await turn();
    expect(fake.calls.length).toBeLessThanOrEqual(2);
  });

  it.each([
    ['embedding_failed', []],
    ['embedding_failed', [Float32Array.of(1, 0), Float32Array.of(1, 0)]],
    ['embedding_failed', [Float32Array.of(Number.NaN, 0)]],
    ['embedding_dimension_mismatch', [Float32Array.of(1, 0, 0)]],
  ])('refuses a wrong answer: %s', async (code, vectors) => {
    await expect(make(answering({ vectors })).embed(['a'], DOCUMENT)).rejects.toMatchObject({ code });
  });

  it('brings vectors to length 1', async () => {
    const { vectors } = await make(answering({ vectors: [Float32Array.of(3, 4)] })).embed(['a'], DOCUMENT);
    expect(vectors[0]?.[0]).toBeCloseTo(0.6);
  });

  it('counts texts, tokens and errors', async () => {
    const counted: [string, Labels, number][] = [];
    const meter: Meter = {
      ...silentMeter,
      count: (name, labels, amount = 1) => void counted.push([name, labels, amount]),
    };
    const generator = make(createFakeEmbedder({ failures: [null, new Error('broken')] }), { meter });
    await generator.embed(['a b', 'c', ''], DOCUMENT);
    await generator.embed(['d'], DOCUMENT).catch(() => {});
    expect(counted).toEqual([
      ['chatsphere_embedding_texts_total', { model: 'fake/words', outcome: 'cached' }, 1],
      ['chatsphere_embedding_texts_total', { model: 'fake/words', outcome: 'embedded' }, 2],
      ['ai_token_usage_total', { model: 'fake/words', type: 'input' }, 3],
      ['chatsphere_embedding_texts_total', { model: 'fake/words', outcome: 'failed' }, 1],
      ['ai_error_total', { model: 'fake/words', error_type: 'embedding_failed' }, 1],
    ]);
  });
});

describe('vectors of queries that several processes share', () => {
  const shared = () => createMemoryByteCache({ maxBytes: 1_000_000, clock: restlessClock });
  const openRemote = (sharedVectors: EmbeddingGeneratorOptions['sharedVectors'], profile: object = remote) => {
    const fake = createFakeEmbedder({ profile });
    return { fake, generator: make(fake, sharedVectors === undefined ? {} : { sharedVectors }) };
  };

  it('are made once, of queries in one space at one provider', async () => {
    const cache = shared();
    const first = openRemote({ cache, scope: 'here' });
    const made = await first.generator.embed(['opening hours', 'opening hours', ' '], QUERY);
    const second = openRemote({ cache, scope: 'here' });
    const found = await second.generator.embed(['opening hours'], QUERY);
    expect(found).toMatchObject({ inputTokens: 0, fromMemory: true });
    expect(found.vectors[0]).toEqual(made.vectors[0]);
    expect([first.fake.calls.length, second.fake.calls.length]).toEqual([1, 0]);
    for (const other of [
      openRemote({ cache, scope: 'elsewhere' }),
      openRemote({ cache, scope: 'here' }, { ...remote, version: '2' }),
    ]) {
      await other.generator.embed(['opening hours'], QUERY);
      expect(other.fake.calls).toHaveLength(1);
    }
    await second.generator.embed(['opening hours'], DOCUMENT);
    expect(second.fake.calls).toHaveLength(1);
  });

  it('cannot be altered by who was given them, and are made anew when they are no vectors', async () => {
    const cache = shared();
    const { fake, generator } = openRemote({ cache, scope: '' });
    const first = (await generator.embed(['a'], QUERY)).vectors[0];
    const before = Float32Array.from(first ?? []);
    first?.fill(7);
    expect((await generator.embed(['a'], QUERY)).vectors[0]).toEqual(before);
    const torn = { get: async () => Uint8Array.of(1, 2, 3), set: async () => {} };
    const other = openRemote({ cache: torn, scope: '' });
    expect((await other.generator.embed(['a'], QUERY)).vectors[0]).toEqual(before);
    expect([fake.calls.length, other.fake.calls.length]).toEqual([1, 1]);
  });

  it('are not asked for by an embedder in this process, which is quicker itself', async () => {
    const asked: string[] = [];
    const get = async (key: string): Promise<null> => {
      asked.push(key);
      return null;
    };
    const cache = { get, set: async () => {} };
    const { fake, generator } = openRemote({ cache, scope: '' }, { local: true });
    await generator.embed(['a'], QUERY);
    await generator.embed(['a'], QUERY);
    expect([asked, fake.calls.length]).toEqual([[], 1]);
  });
});
