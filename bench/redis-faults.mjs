// Asks at a steady rate while Redis is stopped, begun again empty, made slow by two seconds, and well again: what a fault adds to
// an answer, and whether any request fails. Needs `redis-server`. Prints one JSON object; exit code 1 when a bar is missed.
//   node bench/redis-faults.mjs --rate 40 --seconds 8
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { createClient, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';
import { startUpstream } from './lib/upstream-process.mjs';
import { startWiredRedis } from './lib/wired-redis.mjs';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '40' },
    seconds: { type: 'string', default: '8' },
    'max-added-ms': { type: 'string', default: '100' },
  },
});
const [rate, seconds, maxAddedMs] = [values.rate, values.seconds, values['max-added-ms']].map(Number);
const TOKENS = 8;

const redis = await startWiredRedis();
const upstream = await startUpstream({ delayMs: 10, tokens: TOKENS });
const server = await startServer({
  env: {
    LOG_LEVEL: 'silent',
    REDIS_URL: redis.url,
    OPENAI_BASE_URL: upstream.url,
    CHAT_MODEL: 'openai/paced',
    EMBEDDING_MODEL: 'local/static-en',
    EMBEDDING_FOLLOWER: 'off',
  },
});
try {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  await client.post('/v1/bots', { name: 'Faults', slug: 'faults' });
  const limits = { requests_per_minute: 1_000_000, tokens_per_minute: 1_000_000_000, concurrent: 1000 };
  const { secret } = await client.post('/v1/api_keys', { name: 'Visitors', scopes: ['chat'], limits });
  await phase('warm up', { key: secret, forSeconds: 4 });
  const phases = {};
  phases.well = await phase('well', { key: secret, forSeconds: seconds });
  phases.stopped = await phase('stopped', { key: secret, forSeconds: seconds }, () => redis.stop());
  phases.restarted_empty = await phase('restarted empty', { key: secret, forSeconds: seconds }, () => redis.start());
  phases.slow = await phase('slow by 2 s', { key: secret, forSeconds: seconds }, () => {
    redis.wire.delayMs = 2000;
  });
  phases.well_again = await phase('well again', { key: secret, forSeconds: seconds }, () => {
    redis.wire.delayMs = 0;
  });
  const bars = barsOf(phases);
  console.log(JSON.stringify({ rate, seconds, phases, bars, load: loadavg() }, null, 2));
  if (!Object.values(bars).every(({ ok }) => ok)) process.exitCode = 1;
} finally {
  await server.stop();
  upstream.stop();
  await redis.end();
}

/** Asks new questions, and ones that were asked before, in turns; each request begins when its time has come. */
async function phase(name, { key, forSeconds }, fault = async () => {}) {
  const total = rate * forSeconds;
  const startedAt = performance.now();
  const asked = [];
  for (let number = 0; number < total; number += 1) {
    if (number === Math.floor(rate / 2)) void fault();
    await sleep(Math.max(0, startedAt + (number * 1000) / rate - performance.now()));
    asked.push(ask(key, number % 2 === 0 ? 'What was asked before?' : `Question ${name} ${number}?`));
  }
  const answers = await Promise.all(asked);
  const failed = answers.filter(({ status }) => status !== 200);
  const times = answers.filter(({ status }) => status === 200).map(({ wholeMs }) => wholeMs);
  console.error(`${name}: ${times.length} answered, ${failed.length} failed`);
  return {
    answered: times.length,
    failed: failed.length,
    statuses: [...new Set(failed.map(({ status }) => status))],
    longest_failing_ms: failed.length === 0 ? 0 : round(failed.at(-1).at - failed[0].at),
    p50_ms: round(percentile(times, 50)),
    p95_ms: round(percentile(times, 95)),
    p99_ms: round(percentile(times, 99)),
    max_ms: round(Math.max(...times)),
  };
}

async function ask(key, content) {
  const at = performance.now();
  try {
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'faults', stream: true, messages: [{ role: 'user', content }] }),
    });
    const text = await response.text();
    const isWhole = response.status === 200 && text.trimEnd().endsWith('[DONE]');
    return {
      at,
      status: response.status === 200 && !isWhole ? 'broken' : response.status,
      wholeMs: performance.now() - at,
    };
  } catch {
    return { at, status: 'refused', wholeMs: performance.now() - at };
  }
}

function barsOf(phases) {
  const bars = {};
  for (const [name, { p95_ms: p95, longest_failing_ms: failing }] of Object.entries(phases)) {
    if (name === 'well') continue;
    const added = round(p95 - phases.well.p95_ms);
    bars[`${name}: added at p95, ms`] = { measured: added, bar: maxAddedMs, ok: added <= maxAddedMs };
    bars[`${name}: longest time of failures, ms`] = { measured: failing, bar: 1000, ok: failing <= 1000 };
  }
  return bars;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
