// Measures retrieval on a labelled collection over the HTTP search route. Prints one line (or JSON object) a collection.
//   node bench/retrieval.mjs --data FOLDER [--data FOLDER ...] [--server URL --key K] [--embedding-weight W] [--json]
// FOLDER holds documents.jsonl {id, title, text}, queries.jsonl {id, text} and qrels.jsonl {query, document, relevance}.
// Without --server, the built server is started on a folder of its own.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, mapBounded, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const UPLOADS_AT_ONCE = 16;
const WARM_UP_QUERIES = 20;
const { values } = parseArgs({
  options: {
    data: { type: 'string', multiple: true, default: [] },
    server: { type: 'string' },
    key: { type: 'string', default: BENCH_KEY },
    'embedding-weight': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (values.data.length === 0) {
  console.error('Say which collection: node bench/retrieval.mjs --data FOLDER');
  process.exit(2);
}

const own = values.server === undefined ? await startServer() : null;
const client = createClient({ url: values.server ?? own.url, key: values.key });
try {
  for (const folder of values.data) report(await measure(folder));
} finally {
  await own?.stop();
}

async function measure(folder) {
  const [documents, queries, judgements] = await Promise.all(
    ['documents', 'queries', 'qrels'].map((name) => readLines(join(folder, `${name}.jsonl`))),
  );
  const relevant = relevantByQuery(judgements);
  const bot = await client.post('/v1/bots', { name: `Retrieval benchmark ${basename(folder)}` });
  try {
    const trainMs = await train(bot, documents);
    const judged = queries.filter(({ id }) => relevant.has(id));
    for (const { text } of judged.slice(0, WARM_UP_QUERIES)) await search(bot, text);
    const rankings = await mapBounded(judged, 1, ({ text }) => timedRanking(bot, text));
    const scores = judged.map(({ id }, position) => score(rankings[position].keys, relevant.get(id)));
    const latencies = rankings.map(({ milliseconds }) => milliseconds);
    return {
      collection: basename(folder),
      documents: documents.length,
      queries: judged.length,
      ndcg_at_10: mean(scores.map(({ ndcg }) => ndcg)),
      hit_at_5: mean(scores.map(({ hit }) => hit)),
      mrr_at_10: mean(scores.map(({ reciprocalRank }) => reciprocalRank)),
      words_alone: rankings.filter(({ degraded }) => degraded.length > 0).length,
      p50_ms: percentile(latencies, 50),
      p95_ms: percentile(latencies, 95),
      train_ms: Math.round(trainMs),
    };
  } finally {
    await client.delete(`/v1/bots/${bot.id}`);
  }
}

async function train(bot, documents) {
  const startedAt = performance.now();
  await mapBounded(documents, UPLOADS_AT_ONCE, ({ id, title, text }) =>
    client.post(`/v1/bots/${bot.id}/sources`, {
      type: 'text',
      title: title.trim() === '' ? firstWords(text) : title,
      content: text,
      external_key: id,
    }),
  );
  for (;;) {
    const sources = [];
    for await (const source of client.list(`/v1/bots/${bot.id}/sources`)) sources.push(source);
    const failed = sources.find(({ status }) => status === 'failed' || status === 'partial');
    if (failed !== undefined) throw new Error(`${failed.external_key}: ${failed.last_error?.code}`);
    if (sources.length === documents.length && sources.every(({ status }) => status === 'ready')) break;
    await sleep(200);
  }
  return performance.now() - startedAt;
}

/** The interface asks for a title: what a person would name an untitled text after. */
function firstWords(text) {
  return text
    .slice(0, 60)
    .replace(/\s+\S*$/, '')
    .replace(/\s+/g, ' ')
    .trim();
}

function search(bot, query) {
  const weight = values['embedding-weight'] === undefined ? null : Number(values['embedding-weight']);
  const hybrid = { embedding_weight: weight, text_weight: 1 - weight };
  return client.post(`/v1/bots/${bot.id}/search`, {
    query,
    max_num_results: 50,
    ...(weight === null ? {} : { ranking_options: { hybrid } }),
  });
}

/** Documents in the order of their best chunk. */
async function timedRanking(bot, query) {
  const startedAt = performance.now();
  const page = await search(bot, query);
  const milliseconds = performance.now() - startedAt;
  const keys = [...new Set(page.data.map((hit) => hit.external_key))];
  return { keys, milliseconds, degraded: page.degraded ?? [] };
}

/** Binary gains, discount 1 / log2(rank + 1). */
function score(keys, relevant) {
  const gains = keys.slice(0, 10).map((key) => relevant.has(key));
  const discount = (position) => 1 / Math.log2(position + 2);
  const sum = (positions) => positions.reduce((total, position) => total + discount(position), 0);
  const ideal = sum(Array.from({ length: Math.min(10, relevant.size) }, (_, position) => position));
  const first = gains.indexOf(true);
  return {
    ndcg: sum(gains.flatMap((isRelevant, position) => (isRelevant ? [position] : []))) / ideal,
    hit: first >= 0 && first < 5 ? 1 : 0,
    reciprocalRank: first < 0 ? 0 : 1 / (first + 1),
  };
}

function relevantByQuery(judgements) {
  const relevant = new Map();
  for (const { query, document, relevance } of judgements) {
    if (relevance <= 0) continue;
    relevant.set(query, (relevant.get(query) ?? new Set()).add(document));
  }
  return relevant;
}

async function readLines(path) {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function report(result) {
  if (values.json) return console.log(JSON.stringify(result));
  const { collection, documents, queries } = result;
  console.log(
    `${collection}: ${documents} documents, ${queries} queries, ` +
      `nDCG@10 ${result.ndcg_at_10.toFixed(4)}, Hit@5 ${result.hit_at_5.toFixed(4)}, MRR@10 ${result.mrr_at_10.toFixed(4)}, ` +
      `search p50 ${result.p50_ms.toFixed(1)} ms, p95 ${result.p95_ms.toFixed(1)} ms, by words alone ${result.words_alone}`,
  );
}
