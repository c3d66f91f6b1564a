// Asks a trained bot the same questions while nothing else happens and while a large training runs, in turns, and compares
// how long the answers take and how long the event loop was held up. Prints one JSON object, medians over the rounds.
//   node bench/load.mjs --documents 300 --rounds 3
//   node bench/load.mjs --against OTHER/server/dist/app/main-cli.js   another build in the same run, its rounds in between
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createClient, percentile } from './lib/client.mjs';
import { followed } from './lib/followed.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: {
    documents: { type: 'string', default: '300' },
    rounds: { type: 'string', default: '3' },
    questions: { type: 'string', default: '80' },
    pause: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '120' },
    against: { type: 'string' },
    follower: { type: 'string' },
  },
});
const TOPICS = ['invoices', 'holidays', 'passwords', 'deliveries', 'returns', 'meetings', 'laptops', 'contracts'];
const MEASURED = {
  event_loop_delay:
    'time above the sampling interval: what monitorEventLoopDelay reports less its resolution, which an event loop at rest shows, too',
  main_thread: 'share of the time that the main thread worked, and that it was ready to work but had no processor',
  ratio: 'median over the rounds of busy / idle within one round',
};
/** The interval of the server's sampling; the floor of what it reports. */
const RESOLUTION_MS = 10;
/**
 * Answers are made anew each time. `--follower off`: without the encoder that works in the background, which makes the
 * run shorter.
 */
const ENVIRONMENT = {
  ANSWER_CACHE: 'off',
  ...(values.follower === undefined ? {} : { EMBEDDING_FOLLOWER: values.follower }),
};
const files = Array.from({ length: Number(values.documents) }, (_, number) => new Blob([documentOf(number)]));
const builds = [{ name: 'this', options: {} }];
if (values.against !== undefined) builds.push({ name: 'against', options: { main: values.against } });

const report = { measured: MEASURED, documents: files.length, rounds: Number(values.rounds) };
const subjects = [];
try {
  await Promise.all(builds.map(({ name, options }) => prepare(name, options)));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    // Who begins changes, so that what the machine does at the time falls on both.
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) subject.rounds.push(await run(subject));
  }
  for (const { name, rounds, server } of subjects) {
    report[name] = { ...summary(rounds), peak_rss_mb: server.peakRssMb() };
  }
  console.log(JSON.stringify(report, null, 2));
} finally {
  for (const { server } of subjects) await server.stop();
}

async function prepare(name, options) {
  const server = await startServer({ env: { LOG_LEVEL: 'error', ...ENVIRONMENT }, ...options });
  const client = createClient({ url: server.url, key: BENCH_KEY });
  const subject = { name, server, client, rounds: [] };
  subjects.push(subject);
  await client.post('/v1/bots', { name: 'Asked', slug: 'asked' });
  await upload(client, 'asked', files.slice(0, 16));
  await trained(client, 'asked');
  await followed({ url: server.url, key: BENCH_KEY });
  await ask(client, { until: (asked) => asked >= 20 });
}

/** Idle, in training, and idle again; then what was trained is deleted. */
async function run(subject) {
  const { client } = subject;
  const half = Number(values.questions) / 2;
  const before = await phase(subject, { until: (asked) => asked >= half });
  await client.post('/v1/bots', { name: 'Trained', slug: 'trained' });
  const startedAt = performance.now();
  let trainedMs = null;
  const training = upload(client, 'trained', files)
    .then(() => trained(client, 'trained'))
    .finally(() => {
      trainedMs = performance.now() - startedAt;
    });
  training.catch(() => {});
  const busy = await phase(subject, { until: () => trainedMs !== null });
  await training;
  const following = await phase(subject, { until: (asked) => asked >= half });
  await client.delete('/v1/bots/trained');
  await sleep(1_500);
  const after = await phase(subject, { until: (asked) => asked >= half });
  return { idle: together(before, after), busy, following, trained_ms: trainedMs };
}

async function phase({ client, server }, { until }) {
  await eventLoopDelay(server);
  const threadBefore = mainThread(server.pid);
  const startedAt = performance.now();
  const times = await ask(client, { until });
  const milliseconds = performance.now() - startedAt;
  const threadAfter = mainThread(server.pid);
  const share = (name) => (threadAfter[name] - threadBefore[name]) / milliseconds;
  return { times, ...(await eventLoopDelay(server)), worked: share('workedMs'), waited: share('waitedMs') };
}

function together(one, other) {
  const mean = (name) => (one[name] + other[name]) / 2;
  return {
    times: [...one.times, ...other.times],
    p99: mean('p99'),
    max: Math.max(one.max, other.max),
    worked: mean('worked'),
    waited: mean('waited'),
  };
}

function summary(rounds) {
  const of = (name) => {
    const phases = rounds.map((round) => round[name]);
    const median = (figure) => round2(percentile(phases.map(figure), 50));
    return {
      chats: phases.reduce((sum, { times }) => sum + times.length, 0),
      p50_ms: median(({ times }) => percentile(times, 50)),
      p95_ms: median(({ times }) => percentile(times, 95)),
      event_loop_delay_p99_ms: median(({ p99 }) => p99),
      event_loop_delay_max_ms: median(({ max }) => max),
      main_thread_worked: median(({ worked }) => worked),
      main_thread_waited: median(({ waited }) => waited),
    };
  };
  const ratio = (name, share) =>
    round2(
      percentile(
        rounds.map((round) => percentile(round[name].times, share) / percentile(round.idle.times, share)),
        50,
      ),
    );
  return {
    idle: of('idle'),
    busy: of('busy'),
    following: of('following'),
    p50_ratio: ratio('busy', 50),
    p95_ratio: ratio('busy', 95),
    following_p95_ratio: ratio('following', 95),
    trained_ms: Math.round(
      percentile(
        rounds.map(({ trained_ms }) => trained_ms),
        50,
      ),
    ),
  };
}

/** Questions one after the other, with a pause between, as of a few visitors. */
async function ask(client, { until }) {
  const times = [];
  while (!until(times.length)) {
    const topic = TOPICS[times.length % TOPICS.length];
    const startedAt = performance.now();
    await client.post('/v1/chat/completions', {
      model: 'asked',
      messages: [{ role: 'user', content: `What is the rule for ${topic}?` }],
    });
    times.push(performance.now() - startedAt);
    await sleep(Number(values.pause));
  }
  return times;
}

/** Since it was asked last; asking begins a new measurement. */
async function eventLoopDelay(server) {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const of = (name) =>
    Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds ([\\d.e+-]+)`, 'm').exec(text)?.[1]) * 1000 -
    RESOLUTION_MS;
  return { p99: of('p99'), max: of('max') };
}

/** What the system tells of the main thread, in ms; other systems than Linux tell nothing. */
function mainThread(pid) {
  try {
    const [worked, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ').map(Number);
    return { workedMs: worked / 1e6, waitedMs: waited / 1e6 };
  } catch {
    return { workedMs: Number.NaN, waitedMs: Number.NaN };
  }
}

async function upload(client, bot, blobs) {
  for (let first = 0; first < blobs.length; first += 20) {
    const form = new FormData();
    for (const [place, blob] of blobs.slice(first, first + 20).entries()) {
      form.append('file', blob, `document-${first + place}.md`);
    }
    await client.request('POST', `/v1/bots/${bot}/sources`, { form });
  }
}

async function trained(client, bot) {
  const deadline = performance.now() + Number(values.seconds) * 1000;
  while (performance.now() < deadline) {
    const page = await client.get(`/v1/bots/${bot}/sources?limit=100`);
    if (page.data.every((source) => ['ready', 'partial', 'failed'].includes(source.status))) return;
    await sleep(300);
  }
  throw new Error('the training took too long: give it more --seconds or fewer --documents');
}

/** About 20 KB of different sentences. */
function documentOf(number) {
  const topic = TOPICS[number % TOPICS.length];
  const sections = Array.from({ length: 20 }, (_, section) => {
    const sentences = Array.from(
      { length: 10 },
      (_, sentence) =>
        `The rule for ${topic} in office ${number} says that team ${section * 31 + sentence} waits ${sentence + 2} days for them.`,
    );
    return `## ${topic} part ${section}\n\n${sentences.join(' ')}`;
  });
  return `# ${topic} ${number}\n\n${sections.join('\n\n')}\n`;
}

function round2(value) {
  return Number.isFinite(value) ? Math.round(value * 100) / 100 : null;
}
