// Many bots on one server, asked by visitors who mostly want the same few: what a question costs, for hot bots and for cold ones,
// what a chunk costs that is trained, what a bot takes on disk and in memory, and whether anything grows with the number of
// bots. Prints one JSON object; talks on stderr. 10,000 bots take some minutes.
//   node bench/scaling.mjs                                    SQLite
//   node bench/scaling.mjs --engine postgres --redis          starts both for itself, on free ports, in folders that go with them
//   node bench/scaling.mjs --database-url postgres://user@127.0.0.1/empty_database     one that runs; REDIS_URL: a Redis that runs
// --bots N, --large-share P   how many, and the share of those that have some 300 chunks; the others have 8
// --skew S          visitors ask bot number n with a weight of 1/n^S (Zipf); 0: all bots alike
// --rate R          requests a second, sent when they are due, whether earlier ones are answered or not; 0: eight at a time
// --requests N      of each kind of traffic (mixed: three times as many)
// --import-seconds  no more bots are made after this time; the report says how many there are
// --folder F        keeps the data folder (SQLite); a second run on it makes only the bots that are missing, and asks again
// Bots are made by training seven and importing their bundles again and again, over HTTP as all of the traffic is. Chats are answered
// by a paced model in another process. Times are from when a request was due. Processor time is that of the server and its
// children; PostgreSQL's and Redis's is told apart, when they are started here.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from './lib/client.mjs';
import { mulberry32 } from './lib/random.mjs';
import { allReady, importBots, newBot, trainTemplates } from './lib/scaling-bots.mjs';
import { openEngine } from './lib/scaling-engine.mjs';
import { round } from './lib/scaling-report.mjs';
import { ask, createZipf, walk } from './lib/scaling-traffic.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';
import { startUpstream } from './lib/upstream-process.mjs';

const { values } = parseArgs({
  options: {
    bots: { type: 'string', default: '10000' },
    requests: { type: 'string', default: '400' },
    rate: { type: 'string', default: '20' },
    skew: { type: 'string', default: '1' },
    'large-share': { type: 'string', default: '0.01' },
    'import-seconds': { type: 'string', default: '600' },
    tokens: { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
    engine: { type: 'string', default: 'sqlite' },
    redis: { type: 'boolean', default: false },
    'database-url': { type: 'string' },
    folder: { type: 'string' },
  },
});
const STATE_FILE = 'scaling-state.json';
const MIXED = { chat: 0.7, search: 0.25, train: 0.05 };
/** Longer than what is cleared away after a deletion waits. */
const AFTER_DELETION_MS = 15_000;
const random = mulberry32(Number(values.seed));
const total = Number(values.requests);
const beganAt = performance.now();
const engine = await openEngine({
  engine: values.engine,
  databaseUrl: values['database-url'],
  redis: values.redis,
  redisUrl: process.env.REDIS_URL,
});
const environment = {
  LOG_LEVEL: 'error',
  ANSWER_CACHE: 'off',
  EMBEDDING_FOLLOWER: 'off',
  EMBEDDING_MODEL: 'local/static-en',
  CHATSPHERE_SECRET: 'bench-secret-of-at-least-32-characters',
  ...engine.env,
};
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const upstream = await startUpstream({ delayMs: 1, tokens: Number(values.tokens) });
const running = [];
try {
  const report = {
    date: new Date().toISOString(),
    engine: engine.name,
    engine_version: await engine.version(),
    machine: {
      processor: cpus()[0]?.model,
      cores: availableParallelism(),
      node: process.version,
      load_before: loadavg().map(round),
    },
    settings: { ...values, folder: undefined, 'database-url': undefined },
  };
  await measure(report);
  report.machine.load_after = loadavg().map(round);
  report.seconds = round((performance.now() - beganAt) / 1000);
  console.log(JSON.stringify(report, null, 2));
} finally {
  agent.destroy();
  upstream.stop();
  await running.at(-1)?.kill('SIGTERM');
  // The first start made the folder, and its stop removes it.
  await running[0]?.stop();
  await engine.stop();
}

async function measure(report) {
  let to = await start({});
  const { folder } = to.server;
  report.first_start = { ready_ms: round(to.server.readyMs), rss_mb: to.server.rssMb() };
  const state = readState(folder) ?? {
    new_bot_at_first: await newBot('first', to),
    ...(await trainTemplates(to)),
    bytes: await engine.bytes(folder),
    made: [],
  };
  Object.assign(report, { new_bot_at_first: state.new_bot_at_first, training: state.training });
  const { bots, report: made } = await importBots(to, {
    count: Number(values.bots),
    largeShare: Number(values['large-share']),
    seconds: Number(values['import-seconds']),
    ...{ random, templates: state.templates, made: state.made },
  });
  report.bots = made;
  if (values.folder !== undefined) writeFileSync(join(folder, STATE_FILE), JSON.stringify(state));
  report.new_bot_among_all = await newBot(`last-${Date.now()}`, to);
  const traffic = { bots, zipf: createZipf(bots.length, Number(values.skew)), rate: Number(values.rate), random };
  const phase = async (name, shares, count) => {
    say(name);
    const { results, report: told } = await ask(to, { ...traffic, shares, total: count, seen });
    report[name] = told;
    return results;
  };
  let seen = new Set();
  await phase('extractive_chat', { chat: 1 }, total);
  await to.server.kill('SIGTERM');
  report.database = await databaseReport(folder, state, made);

  // The same server with all its bots, from the beginning: nothing is in its memory.
  const engineCpu = engine.cpuSeconds();
  to = await start({ dataFolder: folder, model: { OPENAI_BASE_URL: upstream.url, CHAT_MODEL: 'openai/paced' } });
  report.start_with_all = {
    ready_ms: round(to.server.readyMs),
    cpu_ms: round(to.server.cpuSeconds() * 1000),
    engine_cpu_ms: round((engine.cpuSeconds() - engineCpu) * 1000),
    rss_mb: to.server.rssMb(),
  };
  seen = new Set();
  const mixed = await phase('mixed', MIXED, total * 3);
  const trainedIn = new Set(mixed.filter(({ kind }) => kind === 'train').map(({ bot }) => bot.slug));
  const endedAt = performance.now();
  for (const slug of trainedIn) await allReady(to.client, slug);
  report.mixed.all_trained_after_ms = round(performance.now() - endedAt);
  await phase('model_chat', { chat: 1 }, total);
  await phase('search', { search: 1 }, total);
  say('each bot once');
  report.each_bot_once = await walk(to, bots);
  report.lists = await lists(to);
  report.removal = await removal(to, bots);
  report.memory = {
    peak_rss_mb: to.server.peakRssMb(),
    postgres_rss_mb: engine.postgresRssMb(),
    redis_mb: await engine.redisMb(),
  };
}

async function start({ dataFolder = values.folder, model = {} }) {
  const server = await startServer({
    env: { ...environment, ...model },
    ...(dataFolder === undefined ? {} : { dataFolder }),
  });
  running.push(server);
  return { server, engine, agent, client: createClient({ url: server.url, key: BENCH_KEY }) };
}

/** What an earlier run has made in the folder. */
function readState(folder) {
  const file = join(folder, STATE_FILE);
  return values.folder !== undefined && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

async function databaseReport(folder, state, made) {
  const bytes = await engine.bytes(folder);
  return {
    mb: round(bytes / 1e6),
    kb_a_bot: round((bytes - state.bytes) / made.bots / 1000),
    bytes_a_chunk: round((bytes - state.bytes) / made.chunks),
  };
}

/** What could grow with the number of bots. */
async function lists({ server, client }) {
  const timed = async (work) => {
    const startedAt = performance.now();
    const length = await work();
    return { ms: round(performance.now() - startedAt), length };
  };
  return {
    first_page_of_bots: await timed(async () => (await client.get('/v1/bots?limit=100')).data.length),
    metrics: await timed(async () => (await (await fetch(`${server.url}/metrics`)).text()).length),
  };
}

/** A bot is removed, and what nobody needs any more is cleared away soon after. */
async function removal({ server, client }, bots) {
  const idle = { cpu: server.cpuSeconds(), engine: engine.cpuSeconds() };
  await sleep(AFTER_DELETION_MS);
  const before = { cpu: server.cpuSeconds(), engine: engine.cpuSeconds() };
  const startedAt = performance.now();
  await client.delete(`/v1/bots/${bots.at(-1).slug}`);
  const ms = round(performance.now() - startedAt);
  await sleep(AFTER_DELETION_MS);
  const inMs = (from, to) => round((to - from) * 1000);
  return {
    ms,
    idle_cpu_ms: inMs(idle.cpu, before.cpu),
    idle_engine_cpu_ms: inMs(idle.engine, before.engine),
    cpu_ms: inMs(before.cpu, server.cpuSeconds()),
    engine_cpu_ms: inMs(before.engine, engine.cpuSeconds()),
    of: `${AFTER_DELETION_MS / 1000} s each, before and after`,
  };
}

function say(what) {
  process.stderr.write(`${what}, after ${round((performance.now() - beganAt) / 1000)} s\n`);
}
