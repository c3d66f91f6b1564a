// Search on PostgreSQL beside the embedded database: quality over the HTTP route, then recall and latency on many chunks.
//   node bench/pgvector.mjs --database-url postgres://user@host/database --data FOLDER [--data FOLDER ...] [--chunks 100000] [--skip-quality]
// The database must have pgvector; what is made in it is deleted again. FOLDER as in retrieval.mjs. Prints one JSON object and
// ends with 1 when a bar is missed: nDCG@10 within .01 on both, recall@10 >= .97 against exact, search p95 <= 40 ms without
// the embedding of the question.
import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { createStaticEmbedder } from '../server/dist/adapters/local-embedder/index.js';
import { openPostgres } from '../server/dist/adapters/postgres/index.js';
import { createSearcher } from '../server/dist/chat/index.js';
import { windowsOf } from '../server/dist/embeddings/index.js';
import { silentLogger, silentMeter, systemClock } from '../server/dist/kernel/index.js';
import { queryTerms } from '../server/dist/vector-store/index.js';
import { percentile } from './lib/client.mjs';
import { databaseSizes } from './lib/database-sizes.mjs';
import { botOf, documentOf, readTexts, sourceOf, textOf } from './lib/measured-texts.mjs';
import { mulberry32 } from './lib/random.mjs';

const MOST_NDCG_APART = 0.01;
const LEAST_RECALL = 0.97;
const MOST_P95_MS = 40;
const CHUNKS_A_DOCUMENT = 50;
const TEXTS_A_CALL = 256;
const MEASURED_QUERIES = 300;
const WARM_UP_QUERIES = 30;

const { values } = parseArgs({
  options: {
    'database-url': { type: 'string' },
    data: { type: 'string', multiple: true, default: [] },
    chunks: { type: 'string', default: '100000' },
    'skip-quality': { type: 'boolean', default: false },
  },
});
const databaseUrl = values['database-url'];
if (databaseUrl === undefined || values.data.length === 0) {
  console.error('Say where: node bench/pgvector.mjs --database-url URL --data FOLDER');
  process.exit(2);
}

const quality = [];
if (!values['skip-quality']) for (const folder of values.data) quality.push(await qualityOf(folder));
const many = await measureMany(Number(values.chunks));
const met = {
  ndcg: quality.every(({ apart }) => Math.abs(apart) <= MOST_NDCG_APART),
  recall: many.recall_at_10 >= LEAST_RECALL,
  p95: many.search_ms.p95 <= MOST_P95_MS,
};
console.log(JSON.stringify({ quality, many, met }));
process.exitCode = Object.values(met).every(Boolean) ? 0 : 1;

async function qualityOf(folder) {
  const embedded = await retrieval(folder, []);
  const postgres = await retrieval(folder, ['--database-url', databaseUrl]);
  return {
    collection: basename(folder),
    embedded: embedded.ndcg_at_10,
    postgres: postgres.ndcg_at_10,
    apart: postgres.ndcg_at_10 - embedded.ndcg_at_10,
    embedded_p95_ms: embedded.p95_ms,
    postgres_p95_ms: postgres.p95_ms,
  };
}

async function retrieval(folder, options) {
  const script = fileURLToPath(new URL('./retrieval.mjs', import.meta.url));
  const command = [script, '--data', folder, '--json', '--without-follower', ...options];
  const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
}

async function measureMany(count) {
  const { sentences, queries } = await readTexts(values.data);
  const embedder = createStaticEmbedder({
    wordVectors: { getMany: async () => new Map(), putMany: async () => {} },
    // Words that the table lacks are left out.
    teacher: { embed: async (texts) => texts.map(() => new Float32Array(512)) },
    clock: systemClock,
    logger: silentLogger,
  });
  await embedder.start();
  const { profile } = embedder;
  const space = `${profile.id}@${profile.version}:${profile.dimensions}`;
  const postgres = openPostgres({ url: databaseUrl, clock: systemClock, logger: silentLogger });
  await postgres.store.start();
  const suffix = Date.now().toString(36);
  const bot = { ...botOf(`bot_${suffix}`), tenantId: `tnt_${suffix}` };
  const namespace = { tenantId: bot.tenantId, botId: bot.id, generation: `${space}#auto@1` };
  await postgres.store.tenants.create({ id: bot.tenantId, name: 'Benchmark', createdAt: 1, updatedAt: 1 });
  try {
    const filled = await fill({ postgres, bot, namespace, embedder, sentences, count });
    const graphMs = await buildGraph(postgres, namespace, filled.sample);
    const sizes = await databaseSizes(databaseUrl);
    const vectors = postgres.openVectorStore();
    await vectors.start();
    const asked = queries.slice(0, WARM_UP_QUERIES + MEASURED_QUERIES);
    const embedded = await embedAll(embedder, asked, 'query');
    const vectorOf = new Map(asked.map((text, position) => [text, embedded[position]]));
    const recall = await recallOf({ vectors, namespace, filled, embedded: embedded.slice(-100) });
    const timed = await timeSearches({ postgres, vectors, bot, namespace, profile, vectorOf, asked });
    await vectors.stop();
    return {
      chunks: count,
      vectors: filled.vectors.length,
      dimensions: profile.dimensions,
      fill_s: filled.seconds,
      graph_s: Math.round(graphMs / 100) / 10,
      recall_at_10: recall,
      ...timed,
      sizes_mb: sizes,
    };
  } finally {
    await postgres.store.tenants.delete(bot.tenantId);
    await postgres.store.stop();
    await embedder.stop();
  }
}

async function fill({ postgres, bot, namespace, embedder, sentences, count }) {
  const startedAt = performance.now();
  const random = mulberry32(7);
  const own = postgres.store.forTenant(bot.tenantId);
  await own.bots.create(bot);
  const source = sourceOf(bot.id);
  await own.sources.create(source);
  const store = postgres.openVectorStore({ mostExact: Number.MAX_SAFE_INTEGER });
  await store.start();
  const vectors = [];
  const owners = [];
  let sample = null;
  for (let number = 0; number * CHUNKS_A_DOCUMENT < count; number += 1) {
    const document = documentOf(
      `bench_${number}`,
      Math.min(CHUNKS_A_DOCUMENT, count - number * CHUNKS_A_DOCUMENT),
      () => textOf(sentences, random),
    );
    await own.documents.add(bot.id, source.id, document);
    const windows = document.chunks.map(({ text }) =>
      windowsOf({ title: document.document.title, headingPath: [], text }, embedder.profile.window),
    );
    const made = await embedAll(embedder, windows.flat(), 'document');
    const records = [];
    document.chunks.forEach(({ id }, position) => {
      for (const window of windows[position].keys()) {
        const vector = made[records.length];
        records.push({ chunkId: id, documentId: document.document.id, sourceId: source.id, window, vector });
      }
    });
    await own.chunks.putVectors(
      namespace.generation,
      document.chunks.map(({ id }) => ({
        chunkId: id,
        windows: records.filter(({ chunkId }) => chunkId === id).map(({ vector }) => vector),
      })),
    );
    await store.upsert(namespace, records);
    vectors.push(...records.map(({ vector }) => vector));
    owners.push(...records.map(({ chunkId }) => chunkId));
    sample = records[0];
    if (number % 100 === 99) console.error(`${(number + 1) * CHUNKS_A_DOCUMENT} chunks ...`);
  }
  await store.stop();
  return { vectors, owners, sample, seconds: Math.round((performance.now() - startedAt) / 1000) };
}

async function embedAll(embedder, texts, purpose) {
  const vectors = [];
  for (let first = 0; first < texts.length; first += TEXTS_A_CALL) {
    vectors.push(...(await embedder.doEmbed(texts.slice(first, first + TEXTS_A_CALL), { purpose })).vectors);
  }
  return vectors;
}

/** A store builds the graph of a large namespace when it is told of more; its stop waits for that. */
async function buildGraph(postgres, namespace, sample) {
  const startedAt = performance.now();
  const store = postgres.openVectorStore();
  await store.start();
  await store.upsert(namespace, [sample]);
  await store.stop();
  return performance.now() - startedAt;
}

async function recallOf({ vectors, namespace, filled, embedded }) {
  let found = 0;
  for (const vector of embedded) {
    const best = new Map();
    filled.vectors.forEach((each, row) => {
      let product = 0;
      for (let at = 0; at < each.length; at += 1) product += each[at] * vector[at];
      const chunk = filled.owners[row];
      if (product > (best.get(chunk) ?? -2)) best.set(chunk, product);
    });
    const nearest = [...best].sort((one, other) => other[1] - one[1]);
    // Chunks as near as the tenth count as well.
    const least = nearest[9][1] - 1e-6;
    const exact = new Set(nearest.filter(([, product]) => product >= least).map(([chunk]) => chunk));
    const hits = await vectors.search(namespace, { vector, limit: 10 });
    found += hits.filter(({ chunkId }) => exact.has(chunkId)).length;
  }
  return found / (embedded.length * 10);
}

async function timeSearches({ postgres, vectors, bot, namespace, profile, vectorOf, asked }) {
  const embed = async (texts) => ({ vectors: texts.map((text) => vectorOf.get(text)), tokens: 0 });
  const embeddings = { profile: { ...profile, local: true }, generation: namespace.generation, embed };
  const searcher = createSearcher({
    ...{ store: postgres.store, vectors, lexical: postgres.lexicalIndex, clock: systemClock },
    ...{ logger: silentLogger, meter: silentMeter, spaces: { of: async () => [{ embeddings, weight: 0.4 }] } },
  });
  const parts = {
    search_ms: (text) => searcher.search(bot, { query: text, maxNumResults: 10 }),
    vectors_ms: (text) => vectors.search(namespace, { vector: vectorOf.get(text), limit: 50 }),
    words_ms: (text) => postgres.lexicalIndex.search(namespaceOf(bot), { terms: queryTerms(text), limit: 50 }),
    select_1_ms: () => postgres.store.system.getSetting('none'),
  };
  const timed = {};
  for (const [name, run] of Object.entries(parts)) {
    const milliseconds = [];
    for (const [position, text] of asked.entries()) {
      const startedAt = performance.now();
      await run(text);
      if (position >= WARM_UP_QUERIES) milliseconds.push(performance.now() - startedAt);
    }
    timed[name] = { p50: percentile(milliseconds, 50), p95: percentile(milliseconds, 95) };
  }
  return timed;
}

function namespaceOf({ tenantId, id: botId }) {
  return { tenantId, botId };
}
