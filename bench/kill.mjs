// Kills the server with SIGKILL in the midst of mixed work: files of many formats, archives, texts, tables and questions put
// and replaced by key, deletions, cancelled and retried jobs, sync runs, web sites that change, bots imported and exported,
// index generations built and rolled back, vectors made behind. Each kill waits for one of the stages and hits it after a
// random moment. After the last restart everything is compared with what was acknowledged: what was lost, doubled, left
// unfinished or has come back. Work goes on through all kills on one data folder. Prints one JSON object.
//   node bench/kill.mjs --kills 200 --seed 1
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBundleWork } from './lib/bundle-work.mjs';
import { createClient } from './lib/client.mjs';
import { createGenerationWork } from './lib/generation-work.mjs';
import { createKeyWork } from './lib/key-work.mjs';
import { checkDatabase, watchJobs } from './lib/kill-checks.mjs';
import { retryCancelled, settled, sourcesByKey, verifyBots, verifyKeys } from './lib/kill-verify.mjs';
import { mulberry32 } from './lib/random.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';
import { createSyncWork } from './lib/sync-work.mjs';
import { createWebWork } from './lib/web-work.mjs';
import { createContent, formOf } from './lib/work-content.mjs';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    keys: { type: 'string', default: '24' },
    seed: { type: 'string', default: '1' },
    // How long a kill waits for its stage.
    'longest-ms': { type: 'string', default: '3000' },
    // The folder to work in, which is kept; else one is made and removed.
    folder: { type: 'string' },
  },
});
const KILLS = Number(values.kills);
const SETTLE_MS = 600_000;
/** What the kills aim at, in turn. */
const TARGETS = ['loading', 'embedding', 'fetching', 'building', 'following', 'importing', 'anything', 'start'];
/** Before a kill looks for its stage, so much is acknowledged (on a slow machine, less), and the stage goes on before the kill. */
const MOST_WORK = 30;
const LONGEST_WORK_MS = 5_000;
const LONGEST_DELAY_MS = 150;
const LONGEST_DELAYS_MS = { loading: 20, embedding: 20, fetching: 40, building: 40 };
const BOT = '/v1/bots/killed';
const MODEL = '/v1/bots/model';

const random = mulberry32(Number(values.seed));
const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'chatsphere-kill-')));
const found = { lost: 0, doubled: 0, unfinished: 0, resurrected: 0, failed: 0 };
const details = [];
const counts = { acknowledged: 0, refused: 0, cancelled: 0, commits: 0, exports: 0, generations: 0 };
const killsInStage = {};
const startedAt = performance.now();
const content = createContent(random);
const web = await createWebWork({ random, content, counts });

try {
  const { server: first, bundle } = await prepare();
  const work = createWork(bundle);
  let server = first;
  for (let kills = 0; kills < KILLS; kills += 1) {
    const target = TARGETS[kills % TARGETS.length];
    server ??= await start();
    for (const stage of await workAndKill(server, work, target)) killsInStage[stage] = (killsInStage[stage] ?? 0) + 1;
    server = null;
  }
  const killsMs = performance.now() - startedAt;
  server ??= await start();
  await verify(server, work);
  checkDatabase(folder, report);
  const { lastRefusal, ...counted } = counts;
  console.log(
    JSON.stringify({
      kills: KILLS,
      ...found,
      kills_in_stage: killsInStage,
      ...counted,
      kills_seconds: Math.round(killsMs / 1000),
      seconds: Math.round((performance.now() - startedAt) / 1000),
      ...(counts.refused === 0 ? {} : { last_refusal: lastRefusal }),
      ...(details.length === 0 ? {} : { details: details.slice(0, 20) }),
    }),
  );
  if (Object.values(found).some((count) => count > 0)) process.exitCode = 1;
} finally {
  await web.close();
  if (values.folder === undefined) await rm(folder, { recursive: true, force: true });
}

function start() {
  const env = { CRAWL_ALLOW_PRIVATE_HOSTS: '127.0.0.1', LOG_LEVEL: 'error' };
  return startServer({ dataFolder: folder, env });
}

/** A server without the demo bot, with the bot to work on and a small one that is exported. */
async function prepare() {
  const server = await start();
  const client = clientOf(server);
  await client.delete('/v1/bots/demo');
  await client.post('/v1/bots', { name: 'Killed', slug: 'killed' });
  await client.post('/v1/bots', { name: 'Model', slug: 'model' });
  const files = ['md', 'docx', 'csv'].map((extension) => content.file(extension));
  for (const [index, { extension, bytes }] of files.entries()) {
    const form = formOf([[`${index}.${extension}`, bytes]]);
    await client.request('PUT', `${MODEL}/sources/by-key/${index}`, { form });
  }
  await settled(client, SETTLE_MS);
  const markers = files.flatMap(({ version }) => version.markers);
  return {
    server,
    bundle: { bytes: await client.download(`${MODEL}/export`), version: { markers, documents: files.length } },
  };
}

function createWork(bundle) {
  const parts = { random, content, counts };
  const resurrected = (detail) => report('resurrected', detail);
  const keys = createKeyWork({ ...parts, keys: Number(values.keys), resurrected });
  const sync = createSyncWork({ ...parts, keys: 10 });
  const bundles = createBundleWork({ ...parts, bots: 6, bundle, broken: (detail) => report('lost', detail) });
  const generations = createGenerationWork({ ...parts, cutPath: BOT, embedPath: MODEL });
  return {
    bundle,
    bundles,
    keys,
    slots: [...keys.slots, ...sync.slots, ...web.slots],
    workers: [keys, keys, keys, sync, web, bundles, generations],
    small: [generations],
  };
}

/**
 * Works until the target's stage is hit, and tells which were. Content that comes in goes before some stages: their turn
 * is when no more comes, or (vectors behind) when nothing else is done at all.
 */
async function workAndKill(server, work, target) {
  const client = clientOf(server);
  const jobs = watchJobs(folder);
  let isOver = false;
  const workers = { start: [], following: [], building: work.small }[target] ?? work.workers;
  const running = Promise.all(workers.map((worker) => repeat(worker, client, () => isOver)));
  if (workers.length > 0) await acknowledged(random() * MOST_WORK);
  isOver = target === 'embedding' || target === 'fetching';
  await reached(target, { jobs, bundles: work.bundles });
  await sleep(random() * (LONGEST_DELAYS_MS[target] ?? LONGEST_DELAY_MS));
  isOver = true;
  await server.kill('SIGKILL');
  await running;
  const stages = jobs.stages();
  jobs.close();
  return stages.length > 0 ? stages : ['none'];
}

async function repeat(worker, client, isOver) {
  while (!isOver()) {
    try {
      await worker.operate(client, BOT);
    } catch (error) {
      if (error.status === undefined) {
        if (!isOver()) console.error(`${worker.name}: ${error.stack}`);
        return;
      }
      counts.refused += 1;
      counts.lastRefusal = error.message;
      await sleep(20);
    }
  }
}

async function acknowledged(wanted) {
  const enough = counts.acknowledged + counts.commits + counts.generations + wanted;
  const endsAt = performance.now() + LONGEST_WORK_MS;
  while (performance.now() < endsAt && counts.acknowledged + counts.commits + counts.generations < enough)
    await sleep(5);
}

async function reached(target, { jobs, bundles }) {
  if (target === 'start' || target === 'anything') return;
  const isThere = target === 'importing' ? bundles.isImporting : () => jobs.stages().includes(target);
  const endsAt = performance.now() + Number(values['longest-ms']) * (target === 'following' ? 4 : 1);
  while (performance.now() < endsAt && !isThere()) await sleep(2);
}

async function verify(server, { slots, keys, bundles, bundle }) {
  const client = clientOf(server);
  const hasSettled = () => settled(client, SETTLE_MS).then((done) => done || report('unfinished', 'jobs are left'));
  await hasSettled();
  const byKey = await sourcesByKey(client, BOT);
  await retryCancelled(client, byKey, keys.slots);
  await web.syncAll(client, BOT, (key) => byKey.get(key)?.[0]);
  await hasSettled();
  await verifyKeys(client, BOT, { slots, report });
  await verifyBots(client, { slots: bundles.slots, others: ['killed'], model: bundle.version, report });
  await server.kill('SIGTERM');
}

function clientOf(server) {
  return createClient({ url: server.url, key: BENCH_KEY });
}

function report(what, detail) {
  found[what] += 1;
  details.push(`${what}: ${detail}`);
}
