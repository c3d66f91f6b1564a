import { describe, expect, it, vi } from 'vitest';
import { createExactVectorStore } from '../../adapters/fakes/index.ts';
import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import { createManualClock, type LogFields, type Logger, type Meter, silentLogger } from '../../kernel/index.ts';
import type { Bot, FoundChunk, MetadataFilter } from '../../store/index.ts';
import { type LexicalIndex, queryTerms, type ScoredChunk } from '../../vector-store/index.ts';
import type { SearchSpace, SearchSpaces } from '../ports.ts';
import { createSearcher, type SearcherOptions } from './searcher.ts';

const bot: Bot = {
  id: 'bot_a',
  tenantId: 'tnt_a',
  name: 'A',
  slug: 'a',
  instructions: null,
  model: null,
  temperature: null,
  maxOutputTokens: null,
  refusalMessage: null,
  retrieval: {},
  privacy: { pii: 'off' },
  metadata: {},
  createdAt: 0,
  updatedAt: 0,
};

const CONTENT: Readonly<Record<string, string>> = {
  reset: 'Reset your password in the settings',
  billing: 'Invoices are sent each month by mail',
  refund: 'Money back within thirty days',
  sso: 'Sign in with SAML',
};
/** A tiny space of meaning: access, money. */
const MEANING: Readonly<Record<string, readonly [number, number]>> = {
  reset: [1, 0.1],
  sso: [0.9, 0],
  billing: [0.1, 1],
  refund: [0, 0.9],
};

interface World {
  readonly searcher: ReturnType<typeof createSearcher>;
  readonly clock: ReturnType<typeof createManualClock>;
  readonly warnings: LogFields[];
  readonly durations: number[];
  readonly asked: { query?: string };
  readonly gone: Set<string>;
}

async function makeWorld(overrides: Partial<SearcherOptions> & { readonly local?: boolean } = {}): Promise<World> {
  const { local = true, ...parts } = overrides;
  const clock = createManualClock();
  const warnings: LogFields[] = [];
  const durations: number[] = [];
  const asked: { query?: string } = {};
  const gone = new Set<string>();
  const logger: Logger = { ...silentLogger, warn: (fields) => warnings.push(fields) };
  const meter: Meter = {
    count: () => {},
    gauge: () => {},
    observe: (name, _, value) => name === 'chatsphere_search_duration_seconds' && durations.push(value),
  };
  const vectors = createExactVectorStore();
  const records = Object.entries(MEANING).map(([chunkId, point]) => ({
    ...idsOf(chunkId),
    window: 0,
    vector: unit(point),
  }));
  await vectors.upsert({ tenantId: bot.tenantId, botId: bot.id, generation: 'g1' }, records);
  const searcher = createSearcher({
    clock,
    logger,
    meter,
    vectors,
    lexical: wordIndex,
    spaces: spacesOf(
      embedder(local, async ([text = '']) => {
        asked.query = text;
        return unit(/password|sign|access/i.test(text) ? [1, 0] : [0, 1]);
      }),
    ),
    store: {
      forTenant: (tenantId) => ({
        chunks: {
          getSearchable: async (botId, ids) =>
            tenantId === bot.tenantId && botId === bot.id
              ? ids.filter((id) => id in CONTENT && !gone.has(id)).map(foundChunk)
              : [],
        },
        sources: {
          findIds: async (_botId: string, filter: MetadataFilter) =>
            Object.keys(CONTENT)
              .map((id) => `src_${id}`)
              .filter((id) => 'value' in filter && filter.value === id),
        },
      }),
    },
    ...parts,
  });
  return { searcher, clock, warnings, durations, asked, gone };
}

describe('searcher', () => {
  it('finds by words and by meaning, and completes the score that a side had not given', async () => {
    const { searcher } = await makeWorld();
    const result = await searcher.search(bot, { query: 'How do I reset the password?' });
    expect(result).toMatchObject({ query: 'How do I reset the password?', lexicalOnly: false });
    expect(result.hits.map(({ chunk }) => chunk.id)).toEqual(['reset', 'sso', 'billing', 'refund']);
    expect(result.hits[0]).toMatchObject({ score: expect.closeTo(1, 1), scores: { lexical: 2 } });
    expect(result.hits[1]?.scores).toEqual({ dense: expect.closeTo(1, 5), lexical: null });
    expect(result.hits.every(({ score }) => score >= 0 && score <= 1)).toBe(true);
  });

  it('scores candidates that only words brought by their vectors too', async () => {
    const full = await makeWorld();
    const vectors = createExactVectorStore();
    const scored = vi.fn(async (): Promise<readonly ScoredChunk[]> => [{ chunkId: 'billing', score: 0.25 }]);
    const { searcher } = await makeWorld({
      vectors: { ...vectors, search: async () => [{ chunkId: 'refund', score: 0.9 }], score: scored },
    });
    const { hits } = await searcher.search(bot, { query: 'invoices' });
    expect(new Map(hits.map(({ chunk, scores }) => [chunk.id, scores]))).toEqual(
      new Map([
        ['billing', { dense: 0.25, lexical: 1 }],
        ['refund', { dense: 0.9, lexical: null }],
      ]),
    );
    expect(scored).toHaveBeenCalledOnce();
    expect((await full.searcher.search(bot, { query: 'invoices' })).hits).toHaveLength(4);
  });

  it('weighs as the request says, else as the bot says, else as the embedder says', async () => {
    const { searcher } = await makeWorld();
    const query = 'mail about access';
    const first = async (settings: Partial<Bot>, hybrid?: { embeddingWeight: number; textWeight: number }) => {
      const { hits } = await searcher.search({ ...bot, ...settings }, { query, ...(hybrid && { hybrid }) });
      return hits[0]?.chunk.id;
    };
    const byMeaning = { embeddingWeight: 1, textWeight: 0 };
    const byWords = { embeddingWeight: 0, textWeight: 1 };
    expect(await first({})).toBe('billing');
    expect(await first({ retrieval: { hybrid: byMeaning } })).toBe('sso');
    expect(await first({ retrieval: { hybrid: byMeaning } }, byWords)).toBe('billing');
  });

  it('carries words of the turn before into a question that leans on it, and says so', async () => {
    const { searcher, asked } = await makeWorld();
    const result = await searcher.search(bot, {
      query: 'How often are they sent?',
      messages: [{ role: 'user', content: 'Where are my invoices?' }],
    });
    expect(result.query).toBe('How often are they sent? invoices');
    expect(asked.query).toBe(result.query);
    expect(result.hits[0]?.chunk.id).toBe('billing');
  });

  it('leaves out what lies below the threshold', async () => {
    const { searcher } = await makeWorld();
    const query = 'reset password';
    expect((await searcher.search(bot, { query, scoreThreshold: 0.9 })).hits).toHaveLength(1);
    const strict = { ...bot, retrieval: { scoreThreshold: 0.9 } };
    expect((await searcher.search(strict, { query })).hits).toHaveLength(1);
    expect((await searcher.search(strict, { query, scoreThreshold: 0 })).hits).toHaveLength(4);
  });

  it('fills the list past ids that the store no longer has', async () => {
    const { searcher, gone } = await makeWorld();
    gone.add('reset');
    const { hits } = await searcher.search(bot, { query: 'reset password', maxNumResults: 2 });
    expect(hits.map(({ chunk }) => chunk.id)).toEqual(['sso', 'billing']);
  });

  it('reads on when a whole batch has gone', async () => {
    const many = Array.from({ length: 40 }, (_, index) => ({ chunkId: `stale-${index}`, score: 100 - index }));
    const lexical: LexicalIndex = {
      search: async () => [...many, { chunkId: 'reset', score: 1 }],
      score: async () => [],
    };
    const { searcher } = await makeWorld({ lexical });
    const { hits } = await searcher.search(bot, { query: 'password', maxNumResults: 1 });
    expect(hits.map(({ chunk }) => chunk.id)).toEqual(['reset']);
  });

  it('searches the sources that the filter finds, and nothing when it finds none', async () => {
    const { searcher } = await makeWorld();
    const filter = (value: string): MetadataFilter => ({ type: 'eq', key: 'external_key', value });
    const { hits } = await searcher.search(bot, { query: 'password', filter: filter('src_refund') });
    expect(hits.map(({ chunk }) => chunk.id)).toEqual(['refund']);
    expect((await searcher.search(bot, { query: 'password', filter: filter('nothing') })).hits).toEqual([]);
  });

  it('answers by words alone when the embedder fails', async () => {
    const { searcher, warnings } = await makeWorld({
      spaces: spacesOf(
        embedder(true, async () => {
          throw new Error('away');
        }),
      ),
    });
    const result = await searcher.search(bot, { query: 'reset password' });
    expect(result.lexicalOnly).toBe(true);
    expect(result.hits.map(({ chunk, scores }) => [chunk.id, scores])).toEqual([
      ['reset', { dense: null, lexical: 2 }],
    ]);
    expect(warnings).toHaveLength(1);
  });

  it.each([
    [true, 250],
    [false, 1500],
  ])('answers by words alone when the embedder is late (local: %s)', async (local, milliseconds) => {
    const called = gate();
    const { searcher, clock, durations } = await makeWorld({
      spaces: spacesOf(
        embedder(local, () => {
          called.open();
          return new Promise(() => {});
        }),
      ),
    });
    let settled = false;
    const search = searcher.search(bot, { query: 'reset password' }).finally(() => {
      settled = true;
    });
    await called.opened;
    await clock.advance(milliseconds - 1);
    expect(settled).toBe(false);
    await clock.advance(1);
    expect(await search).toMatchObject({ lexicalOnly: true, hits: [{ chunk: { id: 'reset' } }] });
    expect(durations).toEqual([milliseconds / 1000]);
  });

  it('answers by words alone when the vectors are away, by meaning alone when there are no words', async () => {
    const broken = createExactVectorStore();
    const { searcher } = await makeWorld({
      vectors: { ...broken, search: async () => Promise.reject(new Error('away')) },
    });
    expect((await searcher.search(bot, { query: 'reset password' })).lexicalOnly).toBe(true);
    const whole = await makeWorld();
    const { hits } = await whole.searcher.search(bot, { query: '?!' });
    expect(hits[0]).toMatchObject({ chunk: { id: 'refund' }, score: 1, scores: { lexical: null } });
  });

  it('fails when the words fail, and when the caller has gone', async () => {
    const lexical: LexicalIndex = { ...wordIndex, search: async () => Promise.reject(new Error('database away')) };
    const { searcher } = await makeWorld({ lexical });
    await expect(searcher.search(bot, { query: 'reset' })).rejects.toThrow('database away');
    const whole = await makeWorld();
    const left = AbortSignal.abort(new Error('left'));
    await expect(whole.searcher.search(bot, { query: 'reset' }, left)).rejects.toThrow('left');
    const controller = new AbortController();
    const hanging = await makeWorld({
      spaces: spacesOf(
        embedder(true, () => {
          controller.abort(new Error('left in the middle'));
          return new Promise(() => {});
        }),
      ),
    });
    await expect(hanging.searcher.search(bot, { query: 'reset' }, controller.signal)).rejects.toThrow(
      'left in the middle',
    );
  });
});

describe('searcher over two spaces', () => {
  const first = embedder(true, async ([text = '']) => unit(/password|access/i.test(text) ? [1, 0] : [0, 1]));
  const follower = (embed: (texts: readonly string[]) => Promise<Float32Array>): SearchSpace => ({
    embeddings: { ...embedder(true, embed), generation: 'g2' },
    weight: 0.25,
    patienceMs: 40,
  });

  /** The follower knows two chunks, and prefers the other one. */
  async function makeTwoSpaces(embed: (texts: readonly string[]) => Promise<Float32Array>): Promise<World> {
    const vectors = createExactVectorStore();
    const put = (generation: string, points: readonly (readonly [string, readonly [number, number]])[]) =>
      vectors.upsert(
        { tenantId: bot.tenantId, botId: bot.id, generation },
        points.map(([chunkId, point]) => ({ ...idsOf(chunkId), window: 0, vector: unit(point) })),
      );
    await put('g1', Object.entries(MEANING));
    await put('g2', [
      ['reset', [0, 1]],
      ['sso', [1, 0]],
    ]);
    return makeWorld({ vectors, spaces: spacesOf(first, follower(embed)) });
  }

  it('asks both, and judges chunks that the second does not have by the first', async () => {
    const { searcher } = await makeTwoSpaces(async () => unit([1, 0]));
    const { hits } = await searcher.search(bot, { query: '?! access' });
    expect(hits.map(({ chunk }) => chunk.id)).toEqual(['sso', 'reset', 'billing', 'refund']);
    const alone = await (await makeWorld()).searcher.search(bot, { query: '?! access' });
    const scoreOf = (found: typeof hits, id: string) => found.find(({ chunk }) => chunk.id === id)?.score;
    expect(scoreOf(hits, 'billing')).toBeCloseTo(scoreOf(alone.hits, 'billing') ?? -1, 5);
    expect(hits[0]?.scores.dense).toBe(alone.hits.find(({ chunk }) => chunk.id === 'sso')?.scores.dense);
  });

  it('goes on without the second when it fails or is late', async () => {
    const query = 'reset password';
    const alone = await (await makeWorld()).searcher.search(bot, { query });
    const failing = await makeTwoSpaces(() => Promise.reject(new Error('away')));
    expect(await failing.searcher.search(bot, { query })).toEqual(alone);
    expect(failing.warnings).toEqual([]);

    const called = gate();
    const late = await makeTwoSpaces(() => {
      called.open();
      return new Promise(() => {});
    });
    const search = late.searcher.search(bot, { query });
    await called.opened;
    await late.clock.advance(40);
    expect(await search).toEqual(alone);
  });
});

/** Counts the terms that a text holds. */
const wordIndex: LexicalIndex = {
  search: async (_, { terms, limit, filter }) =>
    countTerms(terms)
      .filter(({ chunkId }) => filter?.sourceIds?.includes(`src_${chunkId}`) ?? true)
      .slice(0, limit),
  score: async (_, { terms, chunkIds }) => countTerms(terms).filter(({ chunkId }) => chunkIds.includes(chunkId)),
};

function countTerms(terms: readonly string[]): ScoredChunk[] {
  return Object.entries(CONTENT)
    .map(([chunkId, text]) => ({ chunkId, score: queryTerms(text).filter((term) => terms.includes(term)).length }))
    .filter(({ score }) => score > 0)
    .sort((one, other) => other.score - one.score);
}

function embedder(local: boolean, embed: (texts: readonly string[]) => Promise<Float32Array>): EmbeddingGenerator {
  return {
    generation: 'g1',
    profile: {
      id: 'test/embedder',
      dimensions: 2,
      version: '1',
      maxTextsPerCall: 1,
      maxConcurrentCalls: 1,
      fusionWeight: 0.4,
      window: null,
      local,
    },
    embed: async (texts) => ({ vectors: [await embed(texts)], inputTokens: 1 }),
  };
}

function spacesOf(embeddings: EmbeddingGenerator, ...others: readonly SearchSpace[]): SearchSpaces {
  return { of: async () => [{ embeddings, weight: others.length === 0 ? 0.4 : 0.25 }, ...others] };
}

function idsOf(chunkId: string): { chunkId: string; documentId: string; sourceId: string } {
  return { chunkId, documentId: `doc_${chunkId}`, sourceId: `src_${chunkId}` };
}

function foundChunk(id: string): FoundChunk {
  const text = CONTENT[id] ?? '';
  return {
    id,
    tenantId: bot.tenantId,
    botId: bot.id,
    sourceId: `src_${id}`,
    documentId: `doc_${id}`,
    position: 0,
    start: 0,
    end: text.length,
    text,
    headingPath: [],
    page: null,
    tokens: 5,
    hash: id,
    documentTitle: id,
    documentUrl: null,
    externalKey: null,
  };
}

function unit([one, other]: readonly [number, number]): Float32Array {
  const length = Math.hypot(one, other);
  return Float32Array.of(one / length, other / length);
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
