#!/usr/bin/env node
// Trains a bot on the handbook in a data folder, brings everything to PostgreSQL and back into another folder, each way killed
// (-9) in the middle and resumed, and asks the same questions of all three. Prints one JSON object; exit code 1 when hits differ, when
// anything was embedded again, or when no run was killed in the middle.
//   node bench/migrate.mjs --data FOLDER [--pages N]     FOLDER holds handbook/pages
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createClient, mapBounded } from './lib/client.mjs';
import { startPostgres } from './lib/fleet.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const MAIN = fileURLToPath(new URL('../server/dist/app/main-cli.js', import.meta.url));
const SECRET = 'a secret of the benchmark, long enough';
const READY_MS = 900_000;
const FILLED_MS = 120_000;

const { values } = parseArgs({ options: { data: { type: 'string' }, pages: { type: 'string' } } });
if (values.data === undefined) throw new Error('--data FOLDER is missing');
const { questions } = JSON.parse(await readFile(new URL('./handbook-questions.json', import.meta.url), 'utf8'));

const root = await mkdtemp(join(tmpdir(), 'chatsphere-migrate-'));
const embedded = { CHATSPHERE_SECRET: SECRET, EMBEDDING_FOLLOWER: 'off' };
const postgres = await startPostgres();
try {
  const from = join(root, 'from');
  const back = join(root, 'back');
  const trained = await onServer({ dataFolder: from, env: embedded }, train);
  // Asked after a start, as all others are.
  const before = await onServer({ dataFolder: from, env: embedded }, (client) => ask(client, trained.first));
  const there = await migrate(['--data-dir', from, '--to', postgres.url]);
  const onPostgres = { dataFolder: join(root, 'fleet'), env: { ...embedded, DATABASE_URL: postgres.url } };
  const after = await onServer(onPostgres, (client) => ask(client, before.hits[0]));
  const returned = await migrate(['--data-dir', from, '--from', postgres.url, '--to', `sqlite:${back}`]);
  const home = await onServer({ dataFolder: back, env: embedded }, (client) => ask(client, before.hits[0]));
  const source = await onServer({ dataFolder: from, env: embedded }, (client) => ask(client, before.hits[0]));
  const result = {
    pages: trained.pages,
    questions: questions.length,
    with_hits: before.hits.filter((ids) => ids.length > 0).length,
    there,
    back: returned,
    identical: {
      postgres: same(before.hits, after.hits),
      back: same(before.hits, home.hits),
      source: same(before.hits, source.hits),
    },
    embedded_again: { postgres: after.embedded, back: home.embedded, source: source.embedded },
    filled_ms: { postgres: after.filledMs, back: home.filledMs },
  };
  const passed =
    Object.values(result.identical).every((count) => count === questions.length) &&
    Object.values(result.embedded_again).every((count) => count === 0) &&
    [there, returned].every(({ resumed }) => resumed);
  console.log(JSON.stringify({ ...result, passed }, null, 2));
  if (!passed) process.exitCode = 1;
} finally {
  await postgres.stop();
  await rm(root, { recursive: true, force: true });
}

async function onServer(options, work) {
  const server = await startServer(options);
  try {
    return await work(createClient({ url: server.url, key: BENCH_KEY }));
  } finally {
    await server.stop();
  }
}

async function train(client) {
  const folder = join(values.data, 'handbook', 'pages');
  const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .slice(0, Number(values.pages ?? 1_000));
  const bot = await client.post('/v1/bots', { name: 'Handbook', slug: 'handbook' });
  await mapBounded(files, 8, async (path) => {
    const key = relative(folder, path);
    const form = new FormData();
    form.append('file', new Blob([await readFile(path)], { type: 'text/markdown' }), key.split('/').pop());
    await client
      .request('PUT', `/v1/bots/${bot.id}/sources/by-key/${encodeURIComponent(key)}`, { form })
      .catch((error) => {
        // Some pages are empty.
        if (error.status === undefined || error.status >= 500) throw error;
      });
  });
  for (const slug of ['handbook', 'demo']) await allEnded(client, slug);
  return { pages: files.length, first: await search(client, questions[0].question) };
}

async function allEnded(client, slug) {
  for (const startedAt = performance.now(); performance.now() - startedAt < READY_MS; await sleep(200)) {
    let waiting = 0;
    for await (const { status } of client.list(`/v1/bots/${slug}/sources`)) {
      if (!['ready', 'partial', 'failed'].includes(status)) waiting += 1;
    }
    if (waiting === 0) return;
  }
  throw new Error(`${slug} was not trained in time`);
}

/** Asks everything. With the hits of the first question as they were, waits until the vector index is filled. */
async function ask(client, first) {
  const embeddedBefore = await embeddedTexts(client);
  const startedAt = performance.now();
  while (first !== undefined && !same([first], [await search(client, questions[0].question)])) {
    if (performance.now() - startedAt > FILLED_MS) break;
    await sleep(100);
  }
  const filledMs = Math.round(performance.now() - startedAt);
  const hits = [];
  for (const { question } of questions) hits.push(await search(client, question));
  return { hits, filledMs, embedded: embeddedBefore };
}

async function search(client, query) {
  for (;;) {
    const { data, degraded } = await client.post('/v1/bots/handbook/search', { query, max_num_results: 10 });
    // On a busy machine the vectors may not be searched in time; words alone have other hits.
    if (degraded.length === 0) return data.map((hit) => hit.chunk_id);
    await sleep(200);
  }
}

/** Texts that the server has embedded since its start. */
async function embeddedTexts(client) {
  const response = await fetch(`${client.url}/metrics`);
  const lines = (await response.text()).split('\n');
  return lines
    .filter((line) => line.startsWith('chatsphere_embedding_texts_total{'))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** How many lists are the same, in their order. */
function same(left, right) {
  return left.filter((ids, place) => JSON.stringify(ids) === JSON.stringify(right[place])).length;
}

/** Kills it a little later each time, until it comes to its end. */
async function migrate(args) {
  const kills = [];
  for (let lifeMs = 400; ; lifeMs += 300) {
    const child = spawn(process.execPath, [MAIN, 'migrate', ...args, '--json'], {
      env: { PATH: process.env.PATH, CHATSPHERE_SECRET: SECRET, LOG_LEVEL: 'error' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
    const timer = setTimeout(() => child.kill('SIGKILL'), lifeMs);
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    if (signal === 'SIGKILL') {
      kills.push(lifeMs);
      continue;
    }
    const done = lines.at(-1);
    if (code !== 0 || done?.object !== 'migration') throw new Error(`migrate ended with code ${code}`);
    const rows = Object.values(done.tables).reduce((sum, table) => sum + table.rows, 0);
    const { resumed, bots, files, seconds, embedder_calls } = done;
    return { killed_after_ms: kills, resumed, rows, bots, files: files.count, seconds, embedder_calls };
  }
}
