// Restarts two servers behind a real HAProxy and a real nginx with the configurations of deploy/, in turn, under a load of
// questions, streams, searches and uploads: no request may fail. Then one is killed under the same load, in the midst of streams: only
// what was on it fails, and its streams are taken up at the other, which makes them whole. Prints one JSON object, and ends with 1 when something
// failed that may not.
//   node bench/rolling.mjs --proxies haproxy,nginx --rounds 2
import { parseArgs } from 'node:util';
import { freePort, startRedis } from './lib/brokers.mjs';
import { createClient } from './lib/client.mjs';
import { startMember, startPostgres } from './lib/fleet.mjs';
import { createLoad, detailsOf } from './lib/fleet-load.mjs';
import { startProxy } from './lib/proxies.mjs';
import { readResumed } from './lib/resumed-stream.mjs';
import { BENCH_KEY, sleep } from './lib/server.mjs';
import { startUpstream } from './lib/upstream-process.mjs';

const { values } = parseArgs({
  options: {
    proxies: { type: 'string', default: 'haproxy,nginx' },
    rounds: { type: 'string', default: '2' },
    clients: { type: 'string', default: '12' },
    streams: { type: 'string', default: '12' },
    // How long a killed server's streams may take until they have ended at the other.
    'max-resume-ms': { type: 'string', default: '60000' },
  },
});
const BOT = 'rolled';
const SLOW_BOT = 'slow';
const BETWEEN_MS = 5_000;
const CHECKS = 2;
const LONG_CLIENTS = 4;
const UNDER_WAY_MS = 2_000;
const MOST_STREAMS = 200;
const SECRET = 'a-secret-of-the-benchmark-that-is-long-enough';

const [postgres, redis, upstream, slow] = await Promise.all([
  startPostgres(),
  startRedis(),
  startUpstream({ delayMs: 50, tokens: 20 }),
  // Still at it when its server is killed; and servers that are told to stop refuse what is new as long.
  startUpstream({ delayMs: 50, tokens: 400 }),
]);
const env = {
  DATABASE_URL: postgres.url,
  REDIS_URL: redis.url,
  CHATSPHERE_SECRET: SECRET,
  OPENAI_BASE_URL: upstream.url,
  CHAT_MODEL: 'openai/paced',
  PROVIDER_SLOW_BASE_URL: slow.url,
  EMBEDDING_MODEL: 'local/static-en',
  EMBEDDING_FOLLOWER: 'off',
  ANSWER_CACHE: 'off',
  SHUTDOWN_DELAY_MS: '5000',
  DRAIN_TIMEOUT_MS: '30000',
  LOG_LEVEL: 'error',
};
const members = [];
const report = {};
try {
  for (const name of ['one', 'two']) {
    members.push(await startMember({ name, command: ['serve'], port: await freePort(), env }));
  }
  const client = createClient({ url: members[0].url(), key: BENCH_KEY });
  await client.post('/v1/bots', { name: 'Rolled', slug: BOT });
  await client.post('/v1/bots', { name: 'Slow', slug: SLOW_BOT, model: 'slow/paced' });
  await client.post(`/v1/bots/${BOT}/sources`, { type: 'text', title: 'About', content: 'It is about everything.' });
  for (const proxy of values.proxies.split(',')) report[proxy] = await roll(proxy);
  console.log(JSON.stringify(report, null, 2));
  if (Object.values(report).some(isMissed)) process.exitCode = 1;
} finally {
  for (const member of members) await member.stop();
  upstream.stop();
  slow.stop();
  await Promise.all([postgres.stop(), redis.stop()]);
}

async function roll(kind) {
  const ports = members.map(({ port }) => port);
  const proxy = await startProxy(kind, ports);
  const restarts = Number(values.rounds) * members.length;
  let outcome;
  try {
    await sleep(BETWEEN_MS);
    const load = createLoad(loadAt(proxy));
    await sleep(BETWEEN_MS);
    for (let restart = 0; restart < restarts; restart += 1) {
      const member = members[restart % members.length];
      await member.kill('SIGTERM');
      await member.restart();
      if (kind === 'haproxy') await checked(member);
    }
    await sleep(BETWEEN_MS);
    const { requests, kinds, failures } = await load.stop();
    outcome = { restarts, requests, kinds, failed: failures.length, details: detailsOf(failures) };
    outcome = { ...outcome, killed: await killOne(proxy) };
  } finally {
    await proxy.stop();
  }
  const { load, killedAt, ...streams } = outcome.killed;
  // Of what was cut off with no response on a client's kept connection HAProxy logs nothing.
  const isExcused = ({ request, begunAt }) => begunAt < killedAt && proxy.serversOf(request).join() !== '1';
  const elsewhere = load.failures.filter((failure) => !isExcused(failure));
  for (const failure of elsewhere) {
    const after = Math.round(failure.begunAt - killedAt);
    failure.what += `, begun ${after} ms after the kill, sent to [${proxy.serversOf(failure.request)}]`;
  }
  const failed = { failed_on_killed: load.failures.length - elsewhere.length, failed_elsewhere: elsewhere.length };
  const killed = { requests: load.requests, ...failed, details: detailsOf(elsewhere), ...streams };
  return { ...outcome, killed };
}

function loadAt({ url }) {
  const bots = { bot: BOT, clients: Number(values.clients), longBot: SLOW_BOT, longClients: LONG_CLIENTS };
  return { url, key: BENCH_KEY, ...bots };
}

/** Waits until the proxy's checks have found the server ready: only then may the other one go. */
async function checked(member) {
  for (;;) {
    const metrics = await (await fetch(`${member.url()}/metrics`)).text();
    const checks = /chatsphere_http_requests_total\{[^}]*route="\/readyz"[^}]*status="200"[^}]*\} (\d+)/.exec(metrics);
    if (Number(checks?.[1] ?? 0) >= CHECKS) return;
    await sleep(200);
  }
}

/** Kills the first server while it makes at least half of the streams, and everything else goes on. */
async function killOne(proxy) {
  const [killed] = members;
  const streams = [];
  while ((await answersOf(killed)) < Number(values.streams) / 2) {
    if (streams.length > MOST_STREAMS) throw new Error('the proxy sends no streams to the first server');
    const body = { model: SLOW_BOT, stream: true, messages: [{ role: 'user', content: `Question ${streams.length}` }] };
    const stream = readResumed({ url: proxy.url, key: BENCH_KEY, body });
    streams.push(stream);
    await stream.begun;
  }
  const running = createLoad({ ...loadAt(proxy), longClients: 0 });
  await sleep(UNDER_WAY_MS);
  await killed.kill('SIGKILL');
  const killedAt = performance.now();
  const ended = await Promise.all(streams.map((stream) => stream.ended));
  const load = await running.stop();
  await killed.restart();
  const broken = ended.filter(({ endedAfterMs }) => endedAfterMs !== null);
  return {
    load,
    killedAt,
    streams: ended.length,
    broken: broken.length,
    resumed: broken.filter(({ resumed }) => resumed > 0).length,
    whole: ended.filter(({ ending }) => ending === 'whole').length,
    completed: broken.filter(({ isReplayed }) => isReplayed).length,
    out_of_order: ended.filter(({ inOrder }) => !inOrder).length,
    endings: [...new Set(broken.map(({ ending }) => ending))],
    longest_until_resumed_ms: Math.max(0, ...broken.map(({ resumedAfterMs }) => resumedAfterMs ?? 0)),
    longest_until_ended_ms: Math.max(0, ...broken.map(({ endedAfterMs }) => endedAfterMs)),
  };
}

/** Answers that a server has begun and not ended. */
async function answersOf(member) {
  const metrics = await (await fetch(`${member.url()}/metrics`)).text();
  return Number(/^chatsphere_answer_streams(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1] ?? 0);
}

function isMissed({ failed, killed }) {
  const { streams, broken, resumed, whole, out_of_order: unordered, longest_until_ended_ms: longest } = killed;
  const isHonest = killed.endings.every((ending) => ['stream_interrupted', 'whole'].includes(ending));
  const areKept = whole >= streams - broken && resumed === broken && unordered === 0;
  const hasFailed = failed > 0 || killed.failed_elsewhere > 0;
  return hasFailed || broken === 0 || !areKept || !isHonest || longest > Number(values['max-resume-ms']);
}
