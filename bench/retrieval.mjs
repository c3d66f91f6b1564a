// Measures retrieval on a labelled collection over the HTTP search route. Prints one line (or JSON object) a collection.
//   node bench/retrieval.mjs --data FOLDER [--data FOLDER ...] [--server URL --key K] [--embedding-weight W] [--json]
//     [--without-follower] [--database-url postgres://...]
// FOLDER holds documents.jsonl {id, title, text}, queries.jsonl {id, text} and qrels.jsonl {query, document, relevance}.
// Without --server, the built server is started on a folder of its own: first without the follower, whose figures are
// "before"; then with it, while its vectors come ("meanwhile") and when they are there. --without-follower leaves that out.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, mapBounded, percentile } from './lib/client.mjs';
import { followed } from './lib/followed.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const UPLOADS_AT_ONCE = 16;
const WARM_UP_QUERIES = 20;
const { values } = parseArgs({
  options: {
    data: { type: 'string', multiple: true, default: [] },
    server: { type: 'string' },
    key: { type: 'string', default: BENCH_KEY },
    'embedding-weight': { type: 'string' },
    'without-follower': { type: 'boolean', default: false },
    'database-url': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (values.data.length === 0) {
  console.error('Say which collection: node bench/retrieval.mjs --data FOLDER');
  process.exit(2);
}

let client = createClient({ url: values.server, key: values.key });
for (const folder of values.data) report(await measure(await readCollection(folder)));

async function readCollection(folder) {
  const [documents, queries, judgements] = await Promise.all(
    ['documents', 'queries', 'qrels'].map((name) => readLines(join(folder, `${name}.jsonl`))),
  );
  const relevant = relevantByQuery(judgements);
  return { name: basename(folder), documents, relevant, queries: queries.filter(({ id }) => relevant.has(id)) };
}

async function measure(collection) {
  const { name, documents, queries } = collection;
  const about = { collection: name, documents: documents.length, queries: queries.length };
  if (values.server !== undefined) {
    const bot = await newBot(name);
    try {
      const trainMs = await train(bot, documents);
      return { ...about, train_ms: Math.round(trainMs), ...(await ask(bot, collection)) };
    } finally {
      await client.delete(`/v1/bots/${bot.id}`);
    }
  }
  const database =
    values['database-url'] === undefined
      ? {}
      : { DATABASE_URL: values['database-url'], CHATSPHERE_SECRET: 'a secret of the benchmark, long enough' };
  const dataFolder = await mkdtemp(join(tmpdir(), 'chatsphere-bench-'));
  try {
    const [bot, before] = await served({ dataFolder, env: { EMBEDDING_FOLLOWER: 'off', ...database } }, async () => {
      const made = await newBot(name);
      const trainMs = await train(made, documents);
      const result = { train_ms: Math.round(trainMs), ...(await ask(made, collection)) };
      if (values['without-follower']) await client.delete(`/v1/bots/${made.id}`);
      return [made, result];
    });
    if (values['without-follower']) return { ...about, ...before };
    return await served({ dataFolder, env: database }, async () => {
      const startedAt = performance.now();
      const meanwhile = await ask(bot, collection);
      const askedMs = performance.now() - startedAt;
      const followedMs = await followed({ url: client.url, key: BENCH_KEY });
      if (followedMs === null) return { ...about, ...before };
      return {
        ...about,
        ...(await ask(bot, collection)),
        follow_ms: Math.round(askedMs + followedMs),
        before,
        meanwhile,
      };
    });
  } finally {
    await rm(dataFolder, { recursive: true, force: true });
  }
}

async function served(options, work) {
  const server = await startServer(options);
  client = createClient({ url: server.url, key: BENCH_KEY });
  try {
    return await work();
  } finally {
    await server.stop();
  }
}

function newBot(name) {
  return client.post('/v1/bots', { name: `Retrieval benchmark ${name}` });
}

async function ask(bot, { queries, relevant }) {
  for (const { text } of queries.slice(0, WARM_UP_QUERIES)) await search(bot, text);
  const rankings = await mapBounded(queries, 1, ({ text }) => timedRanking(bot, text));
  const scores = queries.map(({ id }, position) => score(rankings[position].keys, relevant.get(id)));
  const latencies = rankings.map(({ milliseconds }) => milliseconds);
  return {
    ndcg_at_10: mean(scores.map(({ ndcg }) => ndcg)),
    hit_at_5: mean(scores.map(({ hit }) => hit)),
    mrr_at_10: mean(scores.map(({ reciprocalRank }) => reciprocalRank)),
    words_alone: rankings.filter(({ degraded }) => degraded.length > 0).length,
    p50_ms: percentile(latencies, 50),
    p95_ms: percentile(latencies, 95),
  };
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
  const { collection, documents, queries, before, meanwhile } = result;
  console.log(`${collection}: ${documents} documents, ${queries} queries`);
  if (before !== undefined) {
    reportLine('before the follower', before);
    reportLine('while it works', meanwhile);
  }
  reportLine(before === undefined ? 'measured' : `when it is done (${(result.follow_ms / 1000).toFixed(0)} s)`, result);
}

function reportLine(when, result) {
  console.log(
    `  ${when}: nDCG@10 ${result.ndcg_at_10.toFixed(4)}, Hit@5 ${result.hit_at_5.toFixed(4)}, MRR@10 ${result.mrr_at_10.toFixed(4)}, ` +
      `search p50 ${result.p50_ms.toFixed(1)} ms, p95 ${result.p95_ms.toFixed(1)} ms, by words alone ${result.words_alone}`,
  );
}
