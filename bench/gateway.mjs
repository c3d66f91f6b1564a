// What the server costs between a client and a model, beside a bare pass-through in the same run: processor time a
// request, requests a second, first byte, memory. Everything is on: key, limits, metrics, usage; the bot has no sources,
// and the answer cache is off. Prints one JSON object; ends with 1 when a bar is missed.
//   node bench/gateway.mjs --rounds 3 --seconds 4 --soak 60
//   node bench/gateway.mjs --against-portkey FOLDER   also Portkey's gateway, from where you have installed it:
//     npm i @portkey-ai/gateway@1.15.2, with an override of @hono/node-server to 1.13.5 (with a later one it cannot stream)
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { askFor, cpuMs, rssMb } from './lib/chat-load.mjs';
import { createClient, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    warmup: { type: 'string', default: '3' },
    soak: { type: 'string', default: '60' },
    'against-portkey': { type: 'string' },
  },
});
const WARM_REQUESTS = 2000;
const MOST_WARM_UPS = 4;
const PORTKEY_PORT = 18_787;
const MESSAGES = [
  { role: 'system', content: 'Answer from what you are given.' },
  { role: 'user', content: `${'The quick brown fox jumps over the lazy dog. '.repeat(24)}What does it do?` },
];
/** JSON answers of 16 tokens, streams of 64; one client for the first byte, 32 for all else. */
const CASES = [
  { name: 'json', stream: false, tokens: 16, clients: 32 },
  { name: 'stream', stream: true, tokens: 64, clients: 32 },
  { name: 'json_alone', stream: false, tokens: 16, clients: 1 },
  { name: 'stream_alone', stream: true, tokens: 64, clients: 1 },
];
const BARS = {
  'json cpu / floor': [5, 'most'],
  'stream cpu / floor': [4, 'most'],
  'json requests per second / floor': [0.3, 'least'],
  'stream requests per second / floor': [0.3, 'least'],
  'json first byte above the floor, ms': [2, 'most'],
  'stream first byte above the floor, ms': [2, 'most'],
  'memory after the soak, MB': [250, 'most'],
  failures: [0, 'most'],
  'json requests per second / Portkey': [1.5, 'least'],
  'stream requests per second / Portkey': [1.5, 'least'],
  'json cpu / Portkey': [0.6, 'most'],
  'stream cpu / Portkey': [0.6, 'most'],
};

const ends = [];
try {
  const standin = await startFork('../server/test/standin-main.ts', [], ['--import', 'tsx']);
  const sides = [
    { name: 'direct', pid: standin.pid, url: standin.url, headers: {}, model: 'gpt-test' },
    await startFloor(standin),
    await startOurs(standin),
  ];
  if (values['against-portkey'] !== undefined) sides.push(await startPortkey(standin, values['against-portkey']));
  const report = { rounds: Number(values.rounds), seconds: Number(values.seconds), cases: {} };
  for (const one of CASES) report.cases[one.name] = await measure(standin, sides, one);
  const ours = sides.find(({ name }) => name === 'ours');
  const soak = await askFor(Number(values.soak), requestOf(ours, CASES[1]), 32);
  report.soak = { seconds: Number(values.soak), failures: soak.failures, rss_mb: round(rssMb(ours.pid)) };
  report.bars = barsOf(report);
  console.log(JSON.stringify(report, null, 2));
  process.exitCode = Object.values(report.bars).every(({ ok }) => ok) ? 0 : 1;
} finally {
  for (const end of ends.reverse()) await end();
}

/** A program of ours in a process of its own, which tells its address. */
async function startFork(module, args, execArgv = []) {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), args, { execArgv });
  ends.push(() => child.disconnect());
  const [{ url }] = await once(child, 'message');
  return { child, pid: child.pid, url };
}

async function startFloor(standin) {
  const { pid, url } = await startFork('./lib/bare-gateway.mjs', [standin.url]);
  return { name: 'floor', pid, url: `${url}/v1`, headers: {}, model: 'gpt-test' };
}

async function startOurs(standin) {
  const server = await startServer({ env: { OPENAI_BASE_URL: standin.url, OPENAI_API_KEY: 'sk-bench' } });
  ends.push(() => server.stop());
  const client = createClient({ url: server.url, key: BENCH_KEY });
  await client.post('/v1/bots', { name: 'Bench', slug: 'bench' });
  const { secret } = await client.post('/v1/api_keys', {
    name: 'Bench',
    scopes: ['chat'],
    limits: { requests_per_minute: 1_000_000, tokens_per_minute: 1_000_000_000, concurrent: 1000 },
  });
  await atRest(server.pid);
  const headers = { authorization: `Bearer ${secret}`, 'x-chatsphere-cache': 'off' };
  return { name: 'ours', pid: server.pid, url: `${server.url}/v1`, headers, model: 'bench' };
}

/** The first start trains the demo bot, which is none of what is measured here. */
async function atRest(pid) {
  for (let calm = 0, before = cpuMs(pid), tries = 0; calm < 4 && tries < 60; tries += 1) {
    await sleep(500);
    const now = cpuMs(pid);
    calm = now - before < 50 ? calm + 1 : 0;
    before = now;
  }
}

async function startPortkey(standin, folder) {
  const main = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  const preload = new URL('./lib/loopback-only.mjs', import.meta.url).href;
  const child = spawn(process.execPath, ['--import', preload, main, '--headless', `--port=${PORTKEY_PORT}`], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production' },
    stdio: 'ignore',
  });
  ends.push(() => child.kill());
  const url = `http://127.0.0.1:${PORTKEY_PORT}`;
  for (let tries = 0; ; tries += 1) {
    if (tries > 100) throw new Error('Portkey did not come up');
    if (
      await fetch(url).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      break;
    await sleep(100);
  }
  const headers = {
    authorization: 'Bearer sk-bench',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': standin.url,
  };
  return { name: 'portkey', pid: child.pid, url: `${url}/v1`, headers, model: 'gpt-test' };
}

function requestOf({ url, headers, model }, { stream }) {
  const body = { model, messages: MESSAGES, ...(stream ? { stream, stream_options: { include_usage: true } } : {}) };
  return { url: `${url}/chat/completions`, headers, body: JSON.stringify(body), stream };
}

/** All sides in turns, forward and back, so that whatever else the machine does falls on each. */
async function measure(standin, sides, { name, tokens, clients, stream }) {
  standin.child.send({ tokens: Array.from({ length: tokens }, () => ' word') });
  await once(standin.child, 'message');
  const measured = new Map(
    sides.map((side) => [side, { requests: 0, cpu: 0, rates: [], firstByteMs: [], failures: 0 }]),
  );
  for (const side of sides) await warmUp(requestOf(side, { stream }), clients);
  for (let turn = 0; turn < Number(values.rounds); turn += 1) {
    for (const side of turn % 2 === 0 ? sides : sides.toReversed()) {
      const sums = measured.get(side);
      const before = cpuMs(side.pid);
      const { firstByteMs, failures, seconds } = await askFor(
        Number(values.seconds),
        requestOf(side, { stream }),
        clients,
      );
      sums.cpu += cpuMs(side.pid) - before;
      sums.requests += firstByteMs.length;
      sums.rates.push(firstByteMs.length / seconds);
      sums.firstByteMs.push(...firstByteMs);
      sums.failures += failures;
    }
  }
  console.error(`${name} measured`);
  return Object.fromEntries([...measured].map(([side, sums]) => [side.name, summary(sums, side.pid)]));
}

/** By number and not by time alone: code is compiled by how often it ran. */
async function warmUp(request, clients) {
  for (let asked = 0, tries = 0; asked < WARM_REQUESTS && tries < MOST_WARM_UPS; tries += 1) {
    asked += (await askFor(Number(values.warmup), request, clients)).firstByteMs.length;
  }
}

function summary({ requests, cpu, rates, firstByteMs, failures }, pid) {
  return {
    requests,
    failures,
    cpu_ms_per_request: round(cpu / requests),
    requests_per_second: round(percentile(rates, 50)),
    first_byte_p50_ms: round(percentile(firstByteMs, 50)),
    first_byte_p99_ms: round(percentile(firstByteMs, 99)),
    rss_mb: round(rssMb(pid)),
  };
}

function barsOf({ cases, soak }) {
  const over = (name, key, other) => cases[name].ours[key] / cases[name][other][key];
  const above = (name) => cases[name].ours.first_byte_p50_ms - cases[name].floor.first_byte_p50_ms;
  const found = {
    'memory after the soak, MB': soak.rss_mb,
    failures: soak.failures + CASES.reduce((sum, { name }) => sum + cases[name].ours.failures, 0),
  };
  for (const kind of ['json', 'stream']) {
    found[`${kind} cpu / floor`] = over(kind, 'cpu_ms_per_request', 'floor');
    found[`${kind} requests per second / floor`] = over(kind, 'requests_per_second', 'floor');
    found[`${kind} first byte above the floor, ms`] = above(`${kind}_alone`);
    if (cases[kind].portkey === undefined) continue;
    found[`${kind} requests per second / Portkey`] = over(kind, 'requests_per_second', 'portkey');
    found[`${kind} cpu / Portkey`] = over(kind, 'cpu_ms_per_request', 'portkey');
  }
  const judged = Object.entries(found).map(([name, value]) => {
    const [bar, kind] = BARS[name];
    return [name, { measured: round(value), bar, ok: kind === 'most' ? value <= bar : value >= bar }];
  });
  return Object.fromEntries(judged);
}

function round(value) {
  return Number(value.toFixed(3));
}
