// Trains a bot on a folder of pages over HTTP and asks it questions. Prints one JSON object.
//   node bench/handbook.mjs --pages FOLDER
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, mapBounded, percentile } from './lib/client.mjs';
import { followed } from './lib/followed.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({ options: { pages: { type: 'string' }, verbose: { type: 'boolean' } } });
if (values.pages === undefined) throw new Error('--pages FOLDER is missing');
const { questions, declined } = JSON.parse(
  await readFile(new URL('./handbook-questions.json', import.meta.url), 'utf8'),
);

const server = await startServer();
const client = createClient({ url: server.url, key: BENCH_KEY });
try {
  const demo = await askDemo();
  // Idle is after the demo bot is trained and the workers it needed have gone.
  await sleep(20_000);
  const idleRssMb = server.rssMb();
  const training = await train();
  const trainedAt = performance.now();
  const meanwhile = await timeSearches();
  const askedMs = performance.now() - trainedAt;
  const followedMs = await followed({ url: server.url, key: BENCH_KEY });
  training.followed_ms = followedMs === null ? null : Math.round(training.ready_ms + askedMs + followedMs);
  training.cpu_s = server.cpuSeconds();
  training.peak_rss_mb = server.peakRssMb();
  const search = await timeSearches();
  const answers = await askQuestions();
  console.log(
    JSON.stringify(
      { ready_ms: Math.round(server.readyMs), idle_rss_mb: idleRssMb, demo, training, meanwhile, search, answers },
      null,
      2,
    ),
  );
} finally {
  await server.stop();
}

async function askDemo() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const sources = [];
    for await (const source of client.list('/v1/bots/demo/sources')) sources.push(source.status);
    if (sources.length > 3 && sources.every((status) => status === 'ready')) break;
    await sleep(100);
  }
  const answer = await chat('demo', 'What happens when I delete a source?');
  return { answer: answer.message.content, citations: answer.message.chatsphere.citations.length };
}

async function train() {
  const files = (await readdir(values.pages, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /\.(md|html)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path.endsWith('.md'))
    .sort();
  const bot = await client.post('/v1/bots', { name: 'Handbook', slug: 'handbook' });
  const health = watchHealth();
  const startedAt = performance.now();
  const cpuBefore = server.cpuSeconds();
  const refused = {};
  await mapBounded(files, 8, async (path) => {
    const key = relative(values.pages, path);
    const form = new FormData();
    form.append('file', new Blob([await readFile(path)], { type: 'text/markdown' }), key.split('/').pop());
    try {
      await client.request('PUT', `/v1/bots/${bot.id}/sources/by-key/${encodeURIComponent(key)}`, { form });
    } catch (error) {
      if (error.status === undefined || error.status >= 500) throw error;
      refused[error.code] = (refused[error.code] ?? 0) + 1;
    }
  });
  const uploadedMs = performance.now() - startedAt;
  let searchableMs = 0;
  for (;;) {
    const sources = [];
    for await (const source of client.list(`/v1/bots/${bot.id}/sources`)) sources.push(source);
    const loaded = sources.filter(
      (source) => source.status !== 'queued' && !(source.status === 'processing' && source.stage === 'loading'),
    );
    if (loaded.length === sources.length && searchableMs === 0) searchableMs = performance.now() - startedAt;
    const ended = sources.filter((source) => ['ready', 'partial', 'failed'].includes(source.status));
    if (ended.length === sources.length) {
      const byCode = { ...refused };
      for (const source of ended)
        if (source.status !== 'ready') byCode[source.last_error.code] = (byCode[source.last_error.code] ?? 0) + 1;
      return {
        pages: files.length,
        ready: ended.filter((source) => source.status === 'ready').length,
        refused: byCode,
        chunks: ended.reduce((sum, source) => sum + source.counts.chunks, 0),
        uploaded_ms: Math.round(uploadedMs),
        searchable_ms: Math.round(searchableMs),
        ready_ms: Math.round(performance.now() - startedAt),
        ready_cpu_s: round(server.cpuSeconds() - cpuBefore),
        peak_rss_mb: server.peakRssMb(),
        health_ms: health.stop(),
      };
    }
    await sleep(50);
  }
}

function watchHealth() {
  const times = [];
  let running = true;
  const loop = (async () => {
    while (running) {
      const startedAt = performance.now();
      await (await fetch(`${server.url}/health`)).arrayBuffer();
      times.push(performance.now() - startedAt);
      await sleep(10);
    }
  })();
  loop.catch((error) => console.error('health could not be read', error.message));
  return {
    stop() {
      running = false;
      return {
        max: round(Math.max(...times)),
        p99: round(percentile(times, 99)),
        p50: round(percentile(times, 50)),
        requests: times.length,
      };
    },
  };
}

async function timeSearches() {
  const times = [];
  for (let round = 0; round < 5; round += 1) {
    for (const { question } of questions) {
      const startedAt = performance.now();
      await client.post('/v1/bots/handbook/search', { query: question });
      if (round > 0) times.push(performance.now() - startedAt);
    }
  }
  return { p50_ms: round(percentile(times, 50)), p95_ms: round(percentile(times, 95)) };
}

async function askQuestions() {
  const times = [];
  const misses = [];
  let quotes = 0;
  let verified = 0;
  for (const { question, page, also = [] } of questions) {
    const startedAt = performance.now();
    const answer = await chat('handbook', question);
    times.push(performance.now() - startedAt);
    const { citations } = answer.message.chatsphere;
    if (values.verbose)
      console.error(
        `\nQ ${question}\nA ${answer.message.content}\n  ${citations.map((c) => c.external_key).join(' | ')}`,
      );
    for (const citation of citations) {
      const document = await client.get(`/v1/documents/${citation.document_id}`);
      quotes += 1;
      if (document.text.slice(citation.start, citation.end) === citation.quote) verified += 1;
    }
    if (!citations.some((citation) => [page, ...also].includes(citation.external_key)))
      misses.push({ question, cited: citations.map((citation) => citation.external_key) });
  }
  let refused = 0;
  for (const question of declined) {
    const answer = await chat('handbook', question);
    if (values.verbose) console.error(`\nQ ${question}\nA ${answer.message.content}`);
    if (answer.message.chatsphere.grounded === false) refused += 1;
  }
  return {
    asked: questions.length,
    cite_the_page: questions.length - misses.length,
    misses,
    quotes,
    quotes_verified: verified,
    off_topic_declined: `${refused}/${declined.length}`,
    p50_ms: round(percentile(times, 50)),
    p95_ms: round(percentile(times, 95)),
  };
}

async function chat(model, content) {
  const completion = await client.post('/v1/chat/completions', { model, messages: [{ role: 'user', content }] });
  return completion.choices[0];
}

function round(value) {
  return Math.round(value * 10) / 10;
}
