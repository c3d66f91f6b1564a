// Compares what the server has, once all work has settled, with what it has acknowledged.
import { mapBounded } from './client.mjs';
import { sleep } from './server.mjs';
import { ABSENT } from './work-slots.mjs';

const QUIET_MS = 2_000;
/** Words of older versions of a key that are looked for: the latest. */
const OLD_WORDS = 6;

/** Waits until no job is queued or running for a moment: one may be queued just after another has ended. */
export async function settled(client, limitMs) {
  const startedAt = Date.now();
  let quietSince = startedAt;
  while (Date.now() - quietSince < QUIET_MS) {
    if (Date.now() - startedAt > limitMs) return false;
    if (await hasOpenJobs(client)) quietSince = Date.now();
    await sleep(100);
  }
  return true;
}

async function hasOpenJobs(client) {
  for (const state of ['queued', 'running']) {
    if ((await client.get(`/v1/jobs?state=${state}&limit=1`)).data.length > 0) return true;
  }
  return false;
}

/** Sources of a bot by their key. */
export async function sourcesByKey(client, botPath) {
  const byKey = new Map();
  for await (const source of client.list(`${botPath}/sources`)) {
    byKey.set(source.external_key, [...(byKey.get(source.external_key) ?? []), source]);
  }
  return byKey;
}

/** Runs cancelled jobs again, of keys that were cancelled on purpose. */
export async function retryCancelled(client, byKey, slots) {
  for (const { key, isCancelled } of slots) {
    const [source] = byKey.get(key) ?? [];
    if (isCancelled && source?.status === 'failed' && source.last_error.code === 'job_cancelled')
      await client.post(`/v1/jobs/${source.job_id}/retry`);
  }
}

/** Every key is in one of its possible states, wholly and once. */
export async function verifyKeys(client, botPath, { slots, report }) {
  const byKey = await sourcesByKey(client, botPath);
  const known = new Set(slots.map(({ key }) => key));
  for (const key of byKey.keys()) if (!known.has(key)) report('doubled', `a source with the key ${key}`);
  await mapBounded(slots, 4, (slot) =>
    verifyKey(createView(client, botPath, report), { slot, sources: byKey.get(slot.key) ?? [] }),
  );
}

function createView(client, botPath, report) {
  async function search(marker) {
    const page = await client.post(`${botPath}/search`, { query: marker, max_num_results: 20 });
    return page.data.filter((hit) => hit.text.includes(marker));
  }
  return { client, botPath, report, search };
}

async function verifyKey(view, { slot, sources }) {
  const { report } = view;
  const mayBeAbsent = slot.possible.includes(ABSENT);
  const versions = slot.possible.filter((state) => state !== ABSENT);
  const [source, ...more] = sources;
  if (more.length > 0) return report('doubled', `${slot.key}: ${sources.length} sources`);
  if (source === undefined) return mayBeAbsent ? verifyGone(view, slot.old) : report('lost', slot.key);
  if (versions.length === 0) return report('resurrected', slot.key);
  if (['failed', 'partial'].includes(source.status))
    return report('failed', `${slot.key}: ${source.last_error?.code} ${source.last_error?.message}`);
  if (source.status !== 'ready') return report('unfinished', `${slot.key}: ${source.status}`);
  const version = await verifyDocuments(view, { slot, source, versions });
  if (version === undefined) return;
  for (const marker of version.markers) {
    const hits = await view.search(marker);
    if (hits.length === 0) report('lost', `${slot.key}: ${marker} is not found`);
    if (hits.some((hit) => hit.source_id !== source.id)) report('doubled', `${slot.key}: ${marker} is found elsewhere`);
    if (new Set(hits.map((hit) => hit.chunk_id)).size !== hits.length) report('doubled', `${slot.key}: hits`);
  }
  const stale = versions.flatMap((state) => (state === version ? [] : state.markers));
  await verifyGone(view, [...slot.old, ...stale]);
}

/** Gives the version that the documents are of. */
async function verifyDocuments({ client, botPath, report }, { slot, source, versions }) {
  const texts = [];
  for await (const { id } of client.list(`${botPath}/sources/${source.id}/documents`)) {
    texts.push((await client.get(`/v1/documents/${id}`)).text);
    const chunks = [];
    for await (const chunk of client.list(`/v1/documents/${id}/chunks`)) chunks.push(chunk.id);
    if (new Set(chunks).size !== chunks.length) report('doubled', `${slot.key}: chunks of ${id}`);
  }
  const version = versions.find(({ markers }) => markers.every((word) => texts.some((text) => text.includes(word))));
  if (version === undefined) {
    report('lost', `${slot.key}: the content is none of ${versions.length} versions`);
    return undefined;
  }
  const [documents, counted] = [texts.length, source.counts.documents];
  if (documents > version.documents) report('doubled', `${slot.key}: ${documents} documents for ${version.documents}`);
  if (documents < version.documents) report('lost', `${slot.key}: ${documents} documents for ${version.documents}`);
  if (counted !== documents) report('doubled', `${slot.key}: counts ${counted} of ${documents} documents`);
  return version;
}

/** What was replaced or deleted is found no more. */
async function verifyGone({ search, report }, markers) {
  for (const marker of markers.slice(-OLD_WORDS)) {
    if ((await search(marker)).length > 0) report('resurrected', marker);
  }
}

/** Imported bots are there wholly or not at all; what they were made of, the bot `model`, is there. */
export async function verifyBots(client, { slots, others, model, report }) {
  const bots = new Map();
  for await (const bot of client.list('/v1/bots')) bots.set(bot.slug, bot);
  for (const slug of others) bots.delete(slug);
  await verifyCopy(client, { bot: bots.get('model'), version: model, report });
  bots.delete('model');
  for (const slot of slots) {
    const bot = bots.get(slot.key);
    bots.delete(slot.key);
    if (bot === undefined && !slot.possible.includes(ABSENT)) report('lost', `the bot ${slot.key}`);
    if (bot === undefined) continue;
    const [version] = slot.possible.filter((state) => state !== ABSENT);
    if (version === undefined) report('resurrected', `the bot ${slot.key}`);
    else await verifyCopy(client, { bot, version, report });
  }
  for (const slug of bots.keys()) report('doubled', `the bot ${slug}`);
}

async function verifyCopy(client, { bot, version, report }) {
  const { search } = createView(client, `/v1/bots/${bot.id}`, report);
  const sources = [...(await sourcesByKey(client, `/v1/bots/${bot.id}`)).values()].flat();
  const documents = sources.reduce((sum, source) => sum + source.counts.documents, 0);
  if (sources.some(({ status }) => status !== 'ready')) report('unfinished', `${bot.slug}: a source is not ready`);
  if (documents !== version.documents) report('lost', `${bot.slug}: ${documents} of ${version.documents} documents`);
  for (const marker of version.markers) {
    const hits = await search(marker);
    if (hits.length !== 1) report(hits.length === 0 ? 'lost' : 'doubled', `${bot.slug}: ${marker}`);
  }
}
