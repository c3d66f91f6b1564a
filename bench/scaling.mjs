// Many bots on one server, asked by visitors who mostly want the same few: what a question costs, for hot bots and for cold ones,
// what a chunk costs that is trained, what a bot takes on disk and in memory, and whether anything grows with the number of
// bots. Bots are copies (bundles) of a few that were trained here. Prints one JSON object; talks on stderr.
//   node bench/scaling.mjs --bots 10000 --questions 2000 --rate 25 --skew 1
//   node bench/scaling.mjs --bots 2000 --database-url postgres://user@127.0.0.1/empty_database     with REDIS_URL: Redis, too
// --skew S          visitors ask bot number n with a weight of 1/n^S (Zipf); 0: all bots alike
// --rate R          questions a second, asked when they are due, whether earlier ones are answered or not; 0: eight at a time
// --large-share P   share of the bots that have some 300 chunks; the others have about 10
// --import-seconds  no more bots are made after this time; the report says how many there are
// --folder F        keeps the data folder; a second run on it makes only the bots that are missing, and asks again
// --answers W       extractive, model (paced, in another process, after a restart) or both
// Times are from when a question was due. Processor time is that of the server and its children, without PostgreSQL's and Redis's.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, mapBounded, percentile } from './lib/client.mjs';
import { mulberry32 } from './lib/random.mjs';
import { documentOf, questionOf, TOPICS } from './lib/scaling-content.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';
import { startUpstream } from './lib/upstream-process.mjs';

const { values } = parseArgs({
  options: {
    bots: { type: 'string', default: '10000' },
    questions: { type: 'string', default: '1500' },
    rate: { type: 'string', default: '25' },
    skew: { type: 'string', default: '1' },
    'large-share': { type: 'string', default: '0.01' },
    'import-seconds': { type: 'string', default: '150' },
    answers: { type: 'string', default: 'both' },
    tokens: { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
    'database-url': { type: 'string' },
    folder: { type: 'string' },
  },
});
const requireOfServer = createRequire(new URL('../server/package.json', import.meta.url));
const random = mulberry32(Number(values.seed));
const SMALL_TEMPLATES = 6;
const LARGE = { documents: 60, sections: 5 };
const SMALL = { documents: 4, sections: 2 };
const STATE_FILE = 'scaling-state.json';
const HOT_SHARE = 0.01;
const AT_ONCE = 8;
const environment = {
  LOG_LEVEL: 'error',
  ANSWER_CACHE: 'off',
  EMBEDDING_FOLLOWER: 'off',
  EMBEDDING_MODEL: 'local/static-en',
  CHATSPHERE_SECRET: 'bench-secret-of-at-least-32-characters',
  ...(values['database-url'] === undefined ? {} : { DATABASE_URL: values['database-url'] }),
  ...(process.env.REDIS_URL === undefined ? {} : { REDIS_URL: process.env.REDIS_URL }),
};
const report = {
  date: new Date().toISOString(),
  engine: `${values['database-url'] === undefined ? 'SQLite' : 'PostgreSQL'}${process.env.REDIS_URL === undefined ? '' : ' and Redis'}`,
  machine: { cores: availableParallelism(), node: process.version, load_before: loadavg() },
  settings: values,
};
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
let upstream = null;
let server = await startServer({
  env: environment,
  ...(values.folder === undefined ? {} : { dataFolder: values.folder }),
});
const { folder } = server;
const running = [server];
try {
  let client = createClient({ url: server.url, key: BENCH_KEY });
  report.idle_rss_mb = server.rssMb();
  const state = readState() ?? {
    new_bot_at_first: await newBot(client, 'first'),
    ...(await trainTemplates(client)),
    bytes: await databaseBytes(),
    made: [],
  };
  Object.assign(report, { new_bot_at_first: state.new_bot_at_first, training: state.training });
  const bots = await makeBots(client, state);
  report.new_bot_among_all = await newBot(client, `last-${Date.now()}`);
  report.lists_and_metrics = await listsAndMetrics(client);
  const zipf = createZipf(bots.length, Number(values.skew));
  if (values.answers !== 'model') report.extractive = await ask({ bots, zipf });
  // The same server with all its bots, from the beginning: nothing is in its memory.
  upstream = await startUpstream({ delayMs: 1, tokens: Number(values.tokens) });
  await server.kill('SIGTERM');
  report.database = await databaseReport(bots, state.bytes);
  server = await startServer({
    dataFolder: folder,
    env: { ...environment, OPENAI_BASE_URL: upstream.url, CHAT_MODEL: 'openai/paced' },
  });
  running.push(server);
  client = createClient({ url: server.url, key: BENCH_KEY });
  report.restart = { ready_ms: round(server.readyMs), rss_mb: server.rssMb() };
  if (values.answers !== 'extractive') report.model = await ask({ bots, zipf });
  report.peak_rss_mb = server.peakRssMb();
  report.machine.load_after = loadavg();
  console.log(JSON.stringify(report, null, 2));
} finally {
  agent.destroy();
  upstream?.stop();
  await server.stop();
  // The first start made the folder, and its stop removes it.
  if (server !== running[0]) await running[0].stop();
}

/** From the request that makes a bot to the source that is ready, once small and once large. */
async function newBot(client, name) {
  const of = async (kind, { documents, sections }) => {
    const cpu = server.cpuSeconds();
    const startedAt = performance.now();
    const slug = `${name}-${kind}`;
    await client.post('/v1/bots', { name: slug, slug });
    await train(client, slug, { topic: 0, documents, sections });
    return { ready_ms: round(performance.now() - startedAt), cpu_ms: round((server.cpuSeconds() - cpu) * 1000) };
  };
  return { small: await of('small', SMALL), large: await of('large', LARGE) };
}

/** What an earlier run has made in the folder. */
function readState() {
  const file = join(folder, STATE_FILE);
  return values.folder !== undefined && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

/** Trains the bots that all others are copies of, and tells what a chunk costs. */
async function trainTemplates(client) {
  const templates = { small: [], large: [] };
  const cost = { chunks: 0, characters: 0, ms: 0, cpuMs: 0 };
  for (let number = 0; number <= SMALL_TEMPLATES; number += 1) {
    const kind = number === SMALL_TEMPLATES ? 'large' : 'small';
    const slug = `template-${number}`;
    await client.post('/v1/bots', { name: slug, slug });
    const cpu = server.cpuSeconds();
    const startedAt = performance.now();
    const trained = await train(client, slug, { topic: number, ...(kind === 'large' ? LARGE : SMALL) });
    if (kind === 'large') {
      cost.ms += performance.now() - startedAt;
      cost.cpuMs += (server.cpuSeconds() - cpu) * 1000;
      cost.chunks += trained.chunks;
      cost.characters += trained.characters;
    }
    const bundle = (await client.download(`/v1/bots/${slug}/export`)).toString('base64');
    templates[kind].push({ topic: number, chunks: trained.chunks, bundle });
  }
  const training = {
    of: `${LARGE.documents} documents in one go`,
    chunks: cost.chunks,
    characters_a_chunk: round(cost.characters / cost.chunks),
    cpu_ms_a_chunk: round(cost.cpuMs / cost.chunks),
    ms_a_chunk: round(cost.ms / cost.chunks),
  };
  return { templates, training };
}

async function train(client, slug, { topic, documents, sections }) {
  let characters = 0;
  for (let first = 0; first < documents; first += 20) {
    const form = new FormData();
    for (let number = first; number < Math.min(documents, first + 20); number += 1) {
      const text = documentOf({ topic, number, sections });
      characters += text.length;
      form.append('file', new Blob([text]), `${topic}-${number}.md`);
    }
    await client.request('POST', `/v1/bots/${slug}/sources`, { form });
  }
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    const { data } = await client.get(`/v1/bots/${slug}/sources?limit=100`);
    if (data.every(({ status }) => status === 'ready')) {
      return { characters, chunks: data.reduce((sum, { counts }) => sum + counts.chunks, 0) };
    }
    const failed = data.find(({ status }) => ['partial', 'failed'].includes(status));
    if (failed !== undefined) throw new Error(`a source is ${failed.status}: ${failed.last_error?.message}`);
    await sleep(25);
  }
  throw new Error('a training took longer than two minutes');
}

async function makeBots(client, state) {
  const { templates } = state;
  const known = new Set(state.made);
  const startedAt = performance.now();
  const cpu = server.cpuSeconds();
  const deadline = startedAt + Number(values['import-seconds']) * 1000;
  const slowest = [];
  const wanted = Array.from({ length: Number(values.bots) }, (_, number) => {
    const kind = random() < Number(values['large-share']) ? 'large' : 'small';
    return { slug: `bot-${number}`, kind, template: templates[kind][Math.floor(random() * templates[kind].length)] };
  });
  const made = await mapBounded(wanted, 4, async (bot, number) => {
    if (known.has(number)) return bot;
    if (performance.now() > deadline) return null;
    const begunAt = performance.now();
    await client.upload(
      `/v1/bots/import?slug=${bot.slug}&name=${bot.slug}`,
      Buffer.from(bot.template.bundle, 'base64'),
    );
    state.made.push(number);
    slowest.push({ number, kind: bot.kind, ms: performance.now() - begunAt });
    if (number % 1000 === 0)
      process.stderr.write(`${number} bots after ${round((performance.now() - startedAt) / 1000)} s\n`);
    return bot;
  });
  const bots = made.filter((bot) => bot !== null);
  if (values.folder !== undefined) writeFileSync(join(folder, STATE_FILE), JSON.stringify(state));
  // In the order of making large and small are mixed, so ranks need no shuffling.
  const tenth = Math.max(1, Math.floor(slowest.length / 10));
  const small = slowest.filter(({ kind }) => kind === 'small').map(({ ms }) => ms);
  report.bots = {
    bots: bots.length,
    made_in_this_run: slowest.length,
    large: bots.filter(({ kind }) => kind === 'large').length,
    chunks: bots.reduce((sum, { template }) => sum + template.chunks, 0),
    chunks_of_small: templates.small[0].chunks,
    chunks_of_large: templates.large[0].chunks,
    seconds: round((performance.now() - startedAt) / 1000),
    cpu_ms_a_bot: round(((server.cpuSeconds() - cpu) * 1000) / slowest.length),
    import_ms_of_small: {
      first_tenth: round(percentile(small.slice(0, tenth), 50)),
      last_tenth: round(percentile(small.slice(-tenth), 50)),
    },
    rss_mb: server.rssMb(),
  };
  return bots;
}

/** Asks all questions and waits for all answers. */
async function ask({ bots, zipf }) {
  const total = Number(values.questions);
  const rate = Number(values.rate);
  const asked = new Set();
  const hotUpTo = Math.max(1, Math.round(bots.length * HOT_SHARE));
  const results = [];
  const plan = Array.from({ length: total }, (_, number) => ({ rank: zipf(random()), number }));
  const cpu = server.cpuSeconds();
  const startedAt = performance.now();
  const one = async ({ rank, number }, dueAt) => {
    const isFirst = !asked.has(rank);
    asked.add(rank);
    const bot = bots[rank];
    const answer = await post({
      model: bot.slug,
      messages: [{ role: 'user', content: questionOf(bot.template.topic, number) }],
    });
    results.push({ ms: performance.now() - dueAt, isFirst, isHot: rank < hotUpTo, kind: bot.kind, ...answer });
  };
  if (rate === 0) await mapBounded(plan, AT_ONCE, (question) => one(question, performance.now()));
  else {
    await Promise.all(
      plan.map(async (question, index) => {
        const dueAt = startedAt + (index * 1000) / rate;
        await sleep(Math.max(0, dueAt - performance.now()));
        await one(question, dueAt);
      }),
    );
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const times = (which) => {
    const list = results.filter(which).map(({ ms }) => ms);
    if (list.length === 0) return { questions: 0 };
    return {
      questions: list.length,
      p50_ms: round(percentile(list, 50)),
      p95_ms: round(percentile(list, 95)),
      p99_ms: round(percentile(list, 99)),
    };
  };
  return {
    questions_a_second: round(total / seconds),
    cpu_ms_a_question: round(((server.cpuSeconds() - cpu) * 1000) / total),
    failures: results.filter(({ status }) => status !== 200).length,
    by_words_alone: results.filter(({ degraded }) => degraded).length,
    with_citation: results.filter(({ citations }) => citations > 0).length,
    all: times(() => true),
    [`hot_bots_first_${hotUpTo}`]: times(({ isHot }) => isHot),
    other_bots: times(({ isHot }) => !isHot),
    first_question_of_a_bot: times(({ isFirst }) => isFirst),
    first_question_of_a_large_bot: times(({ isFirst, kind }) => isFirst && kind === 'large'),
    later_questions: times(({ isFirst }) => !isFirst),
    // Each bot that is asked has its vectors loaded; none leaves while all together are below the limit of 256 MiB.
    bots_asked: asked.size,
    rss_mb: server.rssMb(),
  };
}

function post(body) {
  const content = JSON.stringify(body);
  return new Promise((resolve) => {
    const failed = () => resolve({ status: 0, citations: 0, degraded: false });
    const headers = {
      authorization: `Bearer ${BENCH_KEY}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(content),
    };
    const request = http.request(`${server.url}/v1/chat/completions`, { agent, method: 'POST', headers });
    request.on('error', failed);
    request.on('response', (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', failed);
      response.on('end', () => {
        const answer = JSON.parse(Buffer.concat(parts).toString());
        const extra = answer.choices?.[0]?.message?.chatsphere;
        resolve({
          status: response.statusCode,
          citations: extra?.citations?.length ?? 0,
          degraded: extra?.degraded?.includes('lexical_search') ?? false,
        });
      });
    });
    request.end(content);
  });
}

/** Numbers from 0 on, smaller ones more often. */
function createZipf(count, skew) {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let number = 0; number < count; number += 1) {
    sum += 1 / (number + 1) ** skew;
    upTo[number] = sum;
  }
  return (share) => {
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle] < share * sum) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

async function databaseReport(bots, before) {
  const bytes = (await databaseBytes()) - before;
  return {
    mb: round((await databaseBytes()) / 1e6),
    kb_a_bot: round(bytes / bots.length / 1000),
    bytes_a_chunk: round(bytes / report.bots.chunks),
    ...(values['database-url'] === undefined ? { schema_entries: schemaEntries() } : {}),
  };
}

async function databaseBytes() {
  if (values['database-url'] !== undefined) {
    const [{ bytes }] = await sql('select pg_database_size(current_database()) as bytes');
    return Number(bytes);
  }
  return readdirSync(folder)
    .filter((name) => name.startsWith('chatsphere.db'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** Tables, and what belongs to them, that SQLite reads when it opens the file. */
function schemaEntries() {
  const Database = requireOfServer('libsql');
  const database = new Database(join(folder, 'chatsphere.db'));
  try {
    return database.prepare('select count(*) as entries from sqlite_master').get([]).entries;
  } finally {
    database.close();
  }
}

async function sql(text) {
  const pg = requireOfServer('pg');
  const database = new pg.Client({ connectionString: values['database-url'] });
  await database.connect();
  try {
    return (await database.query(text)).rows;
  } finally {
    await database.end();
  }
}

/** What could grow with the number of bots. */
async function listsAndMetrics(client) {
  const timed = async (work) => {
    const startedAt = performance.now();
    const length = await work();
    return { ms: round(performance.now() - startedAt), length };
  };
  return {
    first_page_of_bots: await timed(async () => (await client.get('/v1/bots?limit=100')).data.length),
    metrics: await timed(async () => (await (await fetch(`${server.url}/metrics`)).text()).length),
    topics: TOPICS.length,
  };
}

function round(value) {
  return Math.round(value * 100) / 100;
}
