// Asks a trained bot the same questions while nothing else happens and while a large training runs, and compares how long
// the answers take; and how long the event loop was held up meanwhile. Prints one JSON object.
//   node bench/load.mjs --documents 600 --seconds 60
import { parseArgs } from 'node:util';
import { createClient, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: {
    documents: { type: 'string', default: '600' },
    seconds: { type: 'string', default: '60' },
    questions: { type: 'string', default: '150' },
    pause: { type: 'string', default: '50' },
  },
});
const TOPICS = ['invoices', 'holidays', 'passwords', 'deliveries', 'returns', 'meetings', 'laptops', 'contracts'];
const server = await startServer();
try {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  await client.post('/v1/bots', { name: 'Asked', slug: 'asked' });
  await client.post('/v1/bots', { name: 'Trained', slug: 'trained' });
  await upload(client, 'asked', 16);
  await trained(client, 'asked', 120);
  await ask(client, { until: (asked) => asked >= 20 });
  const idle = await measured(client, { until: (asked) => asked >= Number(values.questions) });
  const startedAt = performance.now();
  let ended = false;
  const training = upload(client, 'trained', Number(values.documents))
    .then(() => trained(client, 'trained', Number(values.seconds)))
    .then((finished) => {
      ended = true;
      return { finished, seconds: Math.round((performance.now() - startedAt) / 100) / 10 };
    });
  await sleep(500);
  const busy = await measured(client, { until: () => ended });
  console.log(
    JSON.stringify({
      idle,
      busy,
      p95_ratio: round(busy.p95_ms / idle.p95_ms),
      training: { documents: Number(values.documents), ...(await training) },
      peak_rss_mb: server.peakRssMb(),
    }),
  );
} finally {
  await server.stop();
}

async function measured(client, { until }) {
  await eventLoopLag();
  const times = await ask(client, { until });
  return {
    chats: times.length,
    p50_ms: round(percentile(times, 50)),
    p95_ms: round(percentile(times, 95)),
    ...(await eventLoopLag()),
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
async function eventLoopLag() {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const of = (name) =>
    round(Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds ([\\d.e+-]+)`, 'm').exec(text)?.[1]) * 1000);
  return { event_loop_p99_ms: of('p99'), event_loop_max_ms: of('max') };
}

async function upload(client, bot, documents) {
  for (let first = 0; first < documents; first += 50) {
    const form = new FormData();
    for (let number = first; number < Math.min(documents, first + 50); number += 1) {
      form.append('file', new Blob([documentOf(number)]), `document-${number}.md`);
    }
    await client.request('POST', `/v1/bots/${bot}/sources`, { form });
  }
}

async function trained(client, bot, seconds) {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    const page = await client.get(`/v1/bots/${bot}/sources?limit=100`);
    if (page.data.every((source) => ['ready', 'partial', 'failed'].includes(source.status))) return true;
    await sleep(500);
  }
  return false;
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

function round(value) {
  return Math.round(value * 100) / 100;
}
