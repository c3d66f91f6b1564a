// Two servers and two workers over one PostgreSQL and one Redis, each killed with SIGKILL in turn under load: content of many
// formats put and replaced by key, deletions looked for at the other server, cancelled and retried jobs, and streamed
// questions that are taken up at the other server: it makes those whole that were asked of a bot whose content stays, and of
// those to the bot whose content changes (a third) as many as still rest on the same passages; the others end with an error
// that says so. At the end everything is compared with what was acknowledged. Prints one JSON object, and ends with 1 when something was lost, doubled or stuck, or a request failed at a process that lived.
//   node bench/fleet-kill.mjs --kills 50 --seed 1        (50 kills of each process)
import { parseArgs } from 'node:util';
import { freePort, startRedis } from './lib/brokers.mjs';
import { createClient } from './lib/client.mjs';
import { startMember, startPostgres } from './lib/fleet.mjs';
import { checkPostgres } from './lib/fleet-checks.mjs';
import { createKeyWork } from './lib/key-work.mjs';
import { retryCancelled, settled, sourcesByKey, verifyKeys } from './lib/kill-verify.mjs';
import { mulberry32 } from './lib/random.mjs';
import { readResumed } from './lib/resumed-stream.mjs';
import { BENCH_KEY, sleep } from './lib/server.mjs';
import { startUpstream } from './lib/upstream-process.mjs';
import { createContent } from './lib/work-content.mjs';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    keys: { type: 'string', default: '24' },
    seed: { type: 'string', default: '1' },
    'settle-seconds': { type: 'string', default: '600' },
  },
});
const BOT = '/v1/bots/killed';
/** Its answers can be gone on with elsewhere: they rest on passages that are still the same. */
const STEADY = {
  slug: 'steady',
  title: 'Badgers',
  content:
    'Badgers live in setts. A sett has many rooms, and badgers dig new ones each year. They eat earthworms at night.',
};
/** One question of so many goes to the bot whose content changes: sources that have changed end its answer honestly. */
const CHANGING_EVERY = 3;
const SETTLE_MS = Number(values['settle-seconds']) * 1_000;
const MOST_WORK = 10;
const LONGEST_WORK_MS = 5_000;
const LONGEST_DELAY_MS = 300;
const WORKERS_A_SERVER = 2;
const ASKERS_A_SERVER = 3;

const random = mulberry32(Number(values.seed));
const found = { lost: 0, doubled: 0, unfinished: 0, resurrected: 0, failed: 0, failed_elsewhere: 0 };
const details = [];
const counts = { acknowledged: 0, cancelled: 0, refused: 0, cut_off: 0 };
const streams = { steady: createStreamCounts(), changing: createStreamCounts() };
const startedAt = performance.now();

const [postgres, redis, upstream] = await Promise.all([
  startPostgres(),
  startRedis(),
  startUpstream({ delayMs: 40, tokens: 50 }),
]);
const members = [];
let isOver = false;
try {
  const kinds = [
    ['server one', ['serve', '--no-worker']],
    ['server two', ['serve', '--no-worker']],
    ['worker one', ['worker']],
    ['worker two', ['worker']],
  ];
  for (const [name, command] of kinds) {
    const member = await startMember({
      name: name.replace(' ', '-'),
      command,
      port: await freePort(),
      env: settings(),
    });
    members.push(Object.assign(member, { deaths: 0, isDown: false }));
  }
  await run(members);
} finally {
  isOver = true;
  for (const member of members) await member.stop();
  upstream.stop();
  await Promise.all([postgres.stop(), redis.stop()]);
}

function createStreamCounts() {
  return {
    ...{ asked: 0, whole: 0, broken: 0, resumed: 0, completed: 0, honest_errors: 0 },
    ...{ out_of_order: 0, never_resumed: 0 },
    endings: {},
  };
}

function settings() {
  return {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    CHATSPHERE_SECRET: 'a-secret-of-the-benchmark-that-is-long-enough',
    OPENAI_BASE_URL: upstream.url,
    CHAT_MODEL: 'openai/paced',
    EMBEDDING_MODEL: 'local/static-en',
    EMBEDDING_FOLLOWER: 'off',
    ANSWER_CACHE: 'off',
    LOG_LEVEL: 'error',
  };
}

async function run([one, two]) {
  const client = clientOf(one);
  await client.delete('/v1/bots/demo').catch(() => {});
  await client.post('/v1/bots', { name: 'Killed', slug: 'killed' });
  await client.post('/v1/bots', { name: 'Steady', slug: STEADY.slug });
  const { title, content } = STEADY;
  await client.post(`/v1/bots/${STEADY.slug}/sources`, { type: 'text', title, content });
  if (!(await settled(client, SETTLE_MS))) throw new Error('The content to ask for was not trained.');
  const resurrected = (detail) => report('resurrected', detail);
  const work = createKeyWork({
    random,
    keys: Number(values.keys),
    content: createContent(random),
    counts,
    resurrected,
  });
  const load = [];
  for (const [own, other] of [
    [one, two],
    [two, one],
  ]) {
    for (let worker = 0; worker < WORKERS_A_SERVER; worker += 1) load.push(change(work, own, other));
    for (let asker = 0; asker < ASKERS_A_SERVER; asker += 1) load.push(ask(own, other));
  }
  const kills = Number(values.kills) * members.length;
  for (let kill = 0; kill < kills; kill += 1) await killAndRestart(members[kill % members.length]);
  isOver = true;
  await Promise.all(load);
  const killsMs = performance.now() - startedAt;
  await verify(client, work);
  console.log(
    JSON.stringify({
      kills,
      ...found,
      ...counts,
      streams,
      kills_seconds: Math.round(killsMs / 1000),
      seconds: Math.round((performance.now() - startedAt) / 1000),
      ...(details.length === 0 ? {} : { details: details.slice(0, 20) }),
    }),
  );
  const faults = Object.values(streams).flatMap(({ out_of_order, never_resumed }) => [out_of_order, never_resumed]);
  if ([...Object.values(found), ...faults].some((count) => count > 0)) process.exitCode = 1;
}

async function killAndRestart(member) {
  const enough = counts.acknowledged + random() * MOST_WORK;
  const endsAt = performance.now() + LONGEST_WORK_MS;
  while (performance.now() < endsAt && counts.acknowledged < enough) await sleep(5);
  await sleep(random() * LONGEST_DELAY_MS);
  member.isDown = true;
  member.deaths += 1;
  await member.kill('SIGKILL');
  await member.restart();
  member.isDown = false;
}

/** Changes content at one server and looks for what was deleted at the other, while that lives. */
async function change(work, own, other) {
  while (!isOver) {
    if (own.isDown) {
      await sleep(50);
      continue;
    }
    const deaths = own.deaths;
    const otherDeaths = other.deaths;
    try {
      await work.operate(searchingAt(own, other), BOT);
    } catch (error) {
      const isCutOff = own.deaths !== deaths || other.deaths !== otherDeaths;
      if (isCutOff) counts.cut_off += 1;
      else if (error.status >= 400 && error.status < 500) counts.refused += 1;
      else report('failed_elsewhere', `${own.name}: ${error.message} ${error.cause?.message ?? ''}`);
      await sleep(20);
    }
  }
}

function searchingAt(own, other) {
  const client = clientOf(own);
  return {
    ...client,
    post: (path, json) =>
      (path.endsWith('/search') && !other.isDown ? clientOf(other) : client).request('POST', path, { json }),
  };
}

async function ask(own, other) {
  for (let number = 0; !isOver; number += 1) {
    if (own.isDown) {
      await sleep(50);
      continue;
    }
    const deaths = own.deaths;
    const otherDeaths = other.deaths;
    const isChanging = number % CHANGING_EVERY === CHANGING_EVERY - 1;
    const asked = isChanging ? streams.changing : streams.steady;
    asked.asked += 1;
    const about = isChanging
      ? 'What is the last word of the document?'
      : 'Where do badgers live, and what do they eat?';
    const messages = [{ role: 'user', content: `${about} (${number})` }];
    const body = { model: isChanging ? 'killed' : STEADY.slug, stream: true, messages };
    try {
      const { ended } = readResumed({ url: own.url(), resumeUrl: other.url(), key: BENCH_KEY, body });
      const result = await ended;
      record(result, { asked, own, wasKilled: own.deaths !== deaths, otherWasKilled: other.deaths !== otherDeaths });
    } catch (error) {
      if (own.deaths === deaths) report('failed_elsewhere', `a question to ${own.name}: ${error.message}`);
      await sleep(20);
    }
  }
}

function record(
  { ending, message, inOrder, resumed, endedAfterMs, isReplayed },
  { asked, own, wasKilled, otherWasKilled },
) {
  if (!inOrder) asked.out_of_order += 1;
  if (ending === 'whole') asked.whole += 1;
  if (!wasKilled && ending !== 'whole') report('failed_elsewhere', `a stream of ${own.name} that lived: ${ending}`);
  if (endedAfterMs === null || endedAfterMs === undefined || message === null) return;
  asked.broken += 1;
  asked.endings[ending] = (asked.endings[ending] ?? 0) + 1;
  if (resumed > 0) asked.resumed += 1;
  if (isReplayed) asked.completed += 1;
  else if (asked === streams.changing && ending === 'stream_interrupted') asked.honest_errors += 1;
  // Its maker and who was to take it up were killed one after the other: nobody was left.
  else if (!otherWasKilled) asked.never_resumed += 1;
}

async function verify(client, { slots }) {
  const hasSettled = () => settled(client, SETTLE_MS).then((done) => done || report('unfinished', 'jobs are left'));
  await hasSettled();
  await retryCancelled(client, await sourcesByKey(client, BOT), slots);
  await hasSettled();
  await verifyKeys(client, BOT, { slots, report });
  await checkPostgres(postgres.url, report);
}

function clientOf(member) {
  return createClient({ url: member.url(), key: BENCH_KEY });
}

function report(what, detail) {
  found[what] += 1;
  details.push(`${what}: ${detail}`);
}
