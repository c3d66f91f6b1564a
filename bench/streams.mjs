// Many paced streams at once through the real server, with the model in a process of its own. Measures how far any stream falls
// behind the model's schedule, and the server's memory and processor time. Prints one JSON object; exit code 1 when a bar is missed.
//   node bench/streams.mjs --streams 2000 --tokens 400
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { createClient, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';
import { openStream } from './lib/stream-client.mjs';
import { startUpstream } from './lib/upstream-process.mjs';

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '2000' },
    tokens: { type: 'string', default: '400' },
    rate: { type: 'string', default: '20' },
    'start-seconds': { type: 'string', default: '5' },
    'max-lag-ms': { type: 'string', default: '250' },
    'max-rss-mb': { type: 'string', default: '600' },
    // A folder for processor profiles of the server.
    profile: { type: 'string' },
  },
});
const [streams, tokens, rate] = [values.streams, values.tokens, values.rate].map(Number);
const TOKEN = /~(\d+):(\d+);/g;

const upstream = await startUpstream({ delayMs: 1000 / rate, tokens });
const env = { OPENAI_BASE_URL: upstream.url, ANSWER_CACHE: 'off', EMBEDDING_FOLLOWER: 'off', LOG_LEVEL: 'error' };
const nodeArguments = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
const server = await startServer({
  nodeArguments,
  env: { ...env, EMBEDDING_MODEL: 'local/static-en', CHAT_MODEL: 'openai/paced', LLM_TOTAL_TIMEOUT_MS: '600000' },
});
try {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  await client.post('/v1/bots', { name: 'Paced', slug: 'paced' });
  const report = await run();
  console.log(JSON.stringify(report, null, 2));
  if (report.worst_lag_ms > Number(values['max-lag-ms']) || report.peak_rss_mb > Number(values['max-rss-mb']))
    process.exitCode = 1;
  if (report.errors > 0) process.exitCode = 1;
} finally {
  await server.stop();
  upstream.stop();
}

async function run() {
  const worst = [];
  const lags = [];
  const upstreamLags = [];
  const setUps = [];
  const faults = new Map();
  // From when all have begun until the first one ends.
  const steady = { begin: null, end: null };
  const usage = () => ({ at: performance.now(), cpu: cpuSeconds(server.pid), received, ...mainThread(server.pid) });
  let [done, errors, began, received] = [0, 0, 0, 0];
  const all = Array.from({ length: streams }, (_, number) => async () => {
    await sleep((number * Number(values['start-seconds']) * 1000) / streams);
    await new Promise((resolve) => {
      const state = { worst: 0, text: 0, whole: false, torn: '', head: '' };
      const askedAt = Date.now();
      openStream({
        url: server.url,
        key: BENCH_KEY,
        body: { model: 'paced', stream: true, messages: [{ role: 'user', content: `Question ${number}` }] },
        onText(part) {
          const now = Date.now();
          if (state.head === '') state.head = part.slice(0, 12);
          const text = state.torn + part;
          state.torn = text.slice(text.lastIndexOf('\n') + 1);
          for (const [, due, sent] of text.slice(0, text.length - state.torn.length).matchAll(TOKEN)) {
            if (state.text === 0) {
              began += 1;
              if (began === streams) steady.begin = usage();
              setUps.push(now - askedAt);
            }
            state.text += 1;
            received += 1;
            const lag = now - Number(due);
            if (lag > state.worst) state.worst = lag;
            if (received % 50 === 0) {
              lags.push(now - Number(sent));
              upstreamLags.push(Number(sent) - Number(due));
            }
          }
          if (text.includes('[DONE]')) state.whole = true;
        },
        onEnd() {
          if (done === 0) steady.end = usage();
          done += 1;
          if (!state.whole || state.text !== tokens) {
            errors += 1;
            const what = `${state.head || 'no response'}, ${state.text > 0 ? 'cut' : 'not begun'}, ${state.torn.slice(-200)}`;
            faults.set(what, (faults.get(what) ?? 0) + 1);
          }
          worst.push(state.worst);
          resolve();
        },
      });
    });
  });
  const before = cpuSeconds(server.pid);
  const startedAt = performance.now();
  const ticks = [];
  let tickAt = performance.now();
  const watch = setInterval(() => {
    ticks.push(performance.now() - tickAt - 100);
    tickAt = performance.now();
  }, 100);
  await Promise.all(all.map((start) => start()));
  clearInterval(watch);
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    streams,
    tokens_each: tokens,
    tokens_per_second_each: rate,
    began,
    done,
    errors,
    faults: Object.fromEntries([...faults].slice(0, 10)),
    first_token_after_asking_ms: { p50: percentile(setUps, 50), p99: percentile(setUps, 99), max: max(setUps) },
    worst_lag_ms: Math.max(...worst),
    streams_behind_250_ms: worst.filter((lag) => lag > 250).length,
    lag_behind_sending_ms: { p50: percentile(lags, 50), p99: percentile(lags, 99), max: max(lags) },
    model_behind_its_schedule_ms: { p99: percentile(upstreamLags, 99), max: max(upstreamLags) },
    client_event_loop_held_up_ms: max(ticks),
    seconds,
    steady: steadyState(steady),
    server_cpu_share: (cpuSeconds(server.pid) - before) / seconds,
    server_cpu_us_per_token: ((cpuSeconds(server.pid) - before) * 1e6) / received,
    peak_rss_mb: server.peakRssMb(),
    machine: { cores: availableParallelism(), load: loadavg() },
  };
}

/** What a token costs while nothing else happens, and for how long the server's main thread had to wait for a processor. */
function steadyState({ begin, end }) {
  if (begin === null || end === null || end.received - begin.received < streams) return null;
  const tokensThen = end.received - begin.received;
  const milliseconds = end.at - begin.at;
  return {
    seconds: milliseconds / 1000,
    tokens_per_second: (tokensThen * 1000) / milliseconds,
    server_cpu_us_per_token: ((end.cpu - begin.cpu) * 1e6) / tokensThen,
    main_thread_us_per_token: ((end.ranMs - begin.ranMs) * 1e3) / tokensThen,
    main_thread_busy_share: (end.ranMs - begin.ranMs) / milliseconds,
    main_thread_waiting_for_processor_share: (end.waitedMs - begin.waitedMs) / milliseconds,
  };
}

/** Time that the main thread ran, and that it could have run but for others, from the scheduler. */
function mainThread(pid) {
  const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ').map(Number);
  return { ranMs: ran / 1e6, waitedMs: waited / 1e6 };
}

function max(numbers) {
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}

function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
