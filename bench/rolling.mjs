// Restarts two servers behind a real HAProxy and a real nginx, in turn, under a load of questions, streams, searches and
// uploads: no request may fail. Then one is killed in the midst of streams: they are taken up at the other, which makes
// them whole. Prints one JSON object, and ends with 1 when something failed.
//   node bench/rolling.mjs --proxies haproxy,nginx --rounds 2
import { parseArgs } from 'node:util';
import { freePort, startRedis } from './lib/brokers.mjs';
import { createClient } from './lib/client.mjs';
import { startMember, startPostgres, startProxy } from './lib/fleet.mjs';
import { createLoad } from './lib/fleet-load.mjs';
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
const SECRET = 'a-secret-of-the-benchmark-that-is-long-enough';

const [postgres, redis, upstream, slow] = await Promise.all([
  startPostgres(),
  startRedis(),
  startUpstream({ delayMs: 50, tokens: 60 }),
  // Still at it when its server is killed.
  startUpstream({ delayMs: 50, tokens: 600 }),
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
  try {
    await sleep(BETWEEN_MS);
    const load = createLoad({ url: proxy.url, key: BENCH_KEY, bot: BOT, clients: Number(values.clients) });
    await sleep(BETWEEN_MS);
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const member of members) {
        await member.kill('SIGTERM');
        await member.restart();
        if (kind === 'haproxy') await checked(member);
        await sleep(BETWEEN_MS);
      }
    }
    const rolled = await load.stop();
    const restarts = Number(values.rounds) * members.length;
    return { restarts, ...rolled, killed: await killOne(proxy) };
  } finally {
    await proxy.stop();
  }
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

async function killOne(proxy) {
  const [killed] = members;
  const streams = Array.from({ length: Number(values.streams) }, (_, number) =>
    readResumed({
      url: proxy.url,
      key: BENCH_KEY,
      body: { model: SLOW_BOT, stream: true, messages: [{ role: 'user', content: `Question ${number}` }] },
    }),
  );
  await Promise.all(streams.map(({ begun }) => begun));
  await sleep(500);
  await killed.kill('SIGKILL');
  const ended = await Promise.all(streams.map((stream) => stream.ended));
  await killed.restart();
  const broken = ended.filter(({ endedAfterMs }) => endedAfterMs !== null);
  return {
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

function isMissed({ failed, killed }) {
  const { streams, broken, resumed, whole, out_of_order: unordered, longest_until_ended_ms: longest } = killed;
  const isHonest = killed.endings.every((ending) => ['stream_interrupted', 'whole'].includes(ending));
  const areKept = whole >= streams - broken && resumed === broken && unordered === 0;
  return failed > 0 || broken === 0 || !areKept || !isHonest || longest > Number(values['max-resume-ms']);
}
