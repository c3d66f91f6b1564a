// Kills the server with SIGKILL at random moments of mixed work (texts, Markdown, HTML, tables, archives, questions,
// replacements by key, deletions, syncs), and counts after the last restart what was lost, doubled, left unfinished or has
// come back. Work goes on through all kills on one data folder. Prints one JSON object.
//   node bench/kill.mjs --kills 200
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from './lib/client.mjs';
import { ABSENT, createMixedWork } from './lib/mixed-work.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    keys: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    'longest-ms': { type: 'string', default: '2500' },
  },
});
// The binding that the server uses.
const Database = createRequire(new URL('../server/package.json', import.meta.url))('libsql');
const SETTLE_MS = 300_000;
const random = mulberry32(Number(values.seed));
const folder = await mkdtemp(join(tmpdir(), 'chatsphere-kill-'));
const work = createMixedWork({ random, keys: Number(values.keys) });
const found = { lost: 0, doubled: 0, unfinished: 0, resurrected: 0, failed: 0 };
const details = [];
const startedAt = performance.now();

try {
  let bot = null;
  const stages = {};
  for (let kills = 0; kills < Number(values.kills); kills += 1) {
    const server = await startServer({ dataFolder: folder });
    const client = createClient({ url: server.url, key: BENCH_KEY });
    bot ??= await client.post('/v1/bots', { name: 'Killed', slug: 'killed' });
    let killed = false;
    const running = work.run(client, `/v1/bots/${bot.id}`, () => killed);
    await sleep(random() * Number(values['longest-ms']));
    for (const stage of await runningStages(client)) stages[stage] = (stages[stage] ?? 0) + 1;
    killed = true;
    await server.kill('SIGKILL');
    await running;
  }
  const killsMs = performance.now() - startedAt;
  const server = await startServer({ dataFolder: folder });
  try {
    await verify(createClient({ url: server.url, key: BENCH_KEY }), bot);
  } finally {
    await server.kill('SIGTERM');
  }
  verifyDatabase(join(folder, 'chatsphere.db'));
  console.log(
    JSON.stringify({
      kills: Number(values.kills),
      ...work.counts,
      ...found,
      jobs_running_at_kills: stages,
      kills_seconds: Math.round(killsMs / 1000),
      seconds: Math.round((performance.now() - startedAt) / 1000),
      ...(details.length === 0 ? {} : { details: details.slice(0, 20) }),
    }),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Which stages a kill hits. */
async function runningStages(client) {
  const page = await client.get('/v1/jobs?state=running&limit=100').catch(() => ({ data: [] }));
  return page.data.map((job) => job.stage);
}

async function verify(client, bot) {
  const sources = await settled(client, bot);
  for (const state of ['queued', 'running']) {
    for await (const job of client.list(`/v1/jobs?state=${state}&bot=${bot.id}`)) report('unfinished', job.id);
  }
  const byKey = new Map();
  for (const source of sources) {
    byKey.set(source.external_key, [...(byKey.get(source.external_key) ?? []), source]);
    if (['failed', 'partial'].includes(source.status)) report('failed', `${source.id} ${source.last_error?.message}`);
    else if (source.status !== 'ready') report('unfinished', source.id);
  }
  for (const slot of work.slots) await verifyKey(client, bot, { slot, sources: byKey.get(slot.key) ?? [] });
}

async function settled(client, bot) {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const sources = [];
    for await (const source of client.list(`/v1/bots/${bot.id}/sources`)) sources.push(source);
    const open = sources.some((source) => ['queued', 'processing'].includes(source.status));
    // A source is ready a moment before its job has ended, and vectors of a second model may follow.
    if ((!open && !(await hasOpenJobs(client, bot))) || Date.now() > deadline) return sources;
    await sleep(200);
  }
}

async function hasOpenJobs(client, bot) {
  for (const state of ['queued', 'running']) {
    if ((await client.get(`/v1/jobs?state=${state}&bot=${bot.id}&limit=1`)).data.length > 0) return true;
  }
  return false;
}

/** The key is in one of its possible states, wholly and once. */
async function verifyKey(client, bot, { slot, sources }) {
  const mayBeAbsent = slot.possible.includes(ABSENT);
  const versions = slot.possible.filter((state) => state !== ABSENT);
  const [source, ...more] = sources;
  if (more.length > 0) return report('doubled', `${slot.key}: ${sources.length} sources`);
  if (source === undefined) return mayBeAbsent ? verifyGone(client, bot, slot.old) : report('lost', slot.key);
  if (versions.length === 0) return report('resurrected', slot.key);
  if (source.status !== 'ready') return;
  const documents = [];
  for await (const document of client.list(`/v1/bots/${bot.id}/sources/${source.id}/documents`))
    documents.push(document);
  const texts = [];
  for (const { id } of documents) {
    texts.push((await client.get(`/v1/documents/${id}`)).text);
    const positions = [];
    for await (const chunk of client.list(`/v1/documents/${id}/chunks`)) positions.push(chunk.start);
    if (new Set(positions).size !== positions.length) report('doubled', `${slot.key}: chunks of ${id}`);
  }
  const holds = ({ markers }) => markers.every((marker) => texts.some((text) => text.includes(marker)));
  const version = versions.find(holds);
  if (version === undefined) return report('lost', `${slot.key}: the content is none of ${versions.length} versions`);
  if (documents.length !== version.documents) report('doubled', `${slot.key}: ${documents.length} documents`);
  if (source.counts.documents !== version.documents) report('doubled', `${slot.key}: counts`);
  for (const marker of version.markers) {
    const hits = await search(client, bot, marker);
    if (hits.length === 0) report('lost', `${slot.key}: ${marker} is not found`);
    if (hits.some((hit) => hit.source_id !== source.id)) report('doubled', `${slot.key}: ${marker} is found elsewhere`);
    if (new Set(hits.map((hit) => hit.chunk_id)).size !== hits.length) report('doubled', `${slot.key}: hits`);
  }
  const stale = slot.possible.flatMap((state) => (state === ABSENT || state === version ? [] : state.markers));
  await verifyGone(client, bot, [...slot.old, ...stale]);
}

/** What no request shows: every searchable chunk has its vectors, and nothing stays of what is gone. */
function verifyDatabase(file) {
  const database = new Database(file);
  const count = (sql) => database.prepare(`select count(*) as found from ${sql}`).get().found;
  const searchable = `chunks join documents on documents.id = chunks.document_id where documents.state = 'searchable'`;
  const checks = [
    ['lost', `${searchable} and not exists (select 1 from chunk_vectors where chunk_number = chunks.number)`],
    ['doubled', `chunk_vectors where not exists (select 1 from chunks where chunks.number = chunk_number)`],
    ['doubled', `documents where not exists (select 1 from sources where sources.id = documents.source_id)`],
    ['doubled', `(select 1 from chunks group by document_id, position having count(*) > 1)`],
    ['unfinished', `documents join sources on sources.id = source_id and status = 'ready' where state = 'building'`],
    ['unfinished', `jobs where state in ('queued', 'running')`],
  ];
  for (const [what, sql] of checks) {
    const rows = count(sql);
    if (rows > 0) report(what, `${rows} rows: ${sql}`);
  }
  database.close();
}

/** What was replaced or deleted is found no more; of a long history, the latest. */
async function verifyGone(client, bot, markers) {
  for (const marker of markers.slice(-6)) {
    const hits = await search(client, bot, marker);
    if (hits.length > 0) report('resurrected', marker);
  }
}

async function search(client, bot, marker) {
  const page = await client.post(`/v1/bots/${bot.id}/search`, { query: marker, max_num_results: 20 });
  return page.data.filter((hit) => hit.text.includes(marker));
}

function report(what, detail) {
  found[what] += 1;
  details.push(`${what}: ${detail}`);
}

function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}
