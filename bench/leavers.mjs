// Many clients that leave in mid-stream. Checks that every call of the model is cancelled, how soon, and that the server has no
// socket, handle or stream more than before. Prints one JSON object; exit code 1 when something is left over.
//   node bench/leavers.mjs --clients 1000
import { readdirSync, readlinkSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { createClient, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';
import { openStream } from './lib/stream-client.mjs';
import { startUpstream } from './lib/upstream-process.mjs';

const { values } = parseArgs({ options: { clients: { type: 'string', default: '1000' } } });
const clients = Number(values.clients);
/** Each question has a number of its own, by which the model says when its call was cancelled. */
let asked = 0;

// Slow tokens: what is measured is the leaving, and not the load.
const upstream = await startUpstream({ delayMs: 500, tokens: 100_000 });
const env = { OPENAI_BASE_URL: upstream.url, ANSWER_CACHE: 'off', EMBEDDING_FOLLOWER: 'off', LOG_LEVEL: 'silent' };
const server = await startServer({
  env: { ...env, EMBEDDING_MODEL: 'local/static-en', CHAT_MODEL: 'openai/paced', LLM_TOTAL_TIMEOUT_MS: '600000' },
});
try {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  await client.post('/v1/bots', { name: 'Paced', slug: 'paced' });
  await leaveAll(20);
  const before = await state();
  const measured = await leaveAll(clients);
  // Node closes idle connections to the model by itself after some seconds; cancelled ones are closed at once.
  await settled(before);
  const after = await state();
  const report = { clients, ...measured, before, after, machine: { load: loadavg() } };
  console.log(JSON.stringify(report, null, 2));
  const leaked = after.sockets > before.sockets || after.timers > before.timers || after.streams > 0;
  if (leaked || measured.cancelled !== clients) process.exitCode = 1;
} finally {
  await server.stop();
  upstream.stop();
}

/** Opens so many streams, lets all of them begin, and leaves them in a row. */
async function leaveAll(count) {
  const name = (number) => asked + number;
  const { left } = await upstream.stats();
  const streams = [];
  await Promise.all(
    Array.from({ length: count }, async (_, number) => {
      await sleep((number / count) * 3000);
      await new Promise((resolve) => {
        const stream = openStream({
          url: server.url,
          key: BENCH_KEY,
          body: { model: 'paced', stream: true, messages: [{ role: 'user', content: `Question ${name(number)}` }] },
          onText: (text) => text.includes('~') && resolve(),
          onEnd: resolve,
        });
        streams.push({ ...stream, number: name(number) });
      });
    }),
  );
  const open = (await upstream.stats()).open;
  const leftAt = [];
  for (const stream of streams) {
    stream.leave();
    leftAt.push([stream.number, Date.now()]);
    await sleep(5);
  }
  const deadline = Date.now() + 20_000;
  while ((await upstream.stats()).left - left < count && Date.now() < deadline) await sleep(20);
  const stats = await upstream.stats();
  asked += count;
  const delays = leftAt
    .filter(([number]) => stats.leftAt[number] !== undefined)
    .map(([number, at]) => Math.max(0, stats.leftAt[number] - at));
  return {
    open_in_mid_stream: open,
    cancelled: stats.left - left,
    cancelled_after_ms: {
      p50: percentile(delays, 50),
      p95: percentile(delays, 95),
      p99: percentile(delays, 99),
      max: Math.max(...delays),
    },
  };
}

async function settled(before) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const now = await state();
    if (now.sockets <= before.sockets && now.timers <= before.timers && now.streams === 0) return;
    if (Date.now() > deadline) return;
    await sleep(500);
  }
}

async function state() {
  const response = await fetch(`${server.url}/metrics`, { headers: { connection: 'close' } });
  const text = await response.text();
  const metric = (name) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    sockets: openSockets(server.pid),
    timers: metric('nodejs_active_resources\\{type="Timeout"\\}'),
    resources: metric('nodejs_active_resources_total'),
    streams: metric('chatsphere_answer_streams'),
  };
}

function openSockets(pid) {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}
