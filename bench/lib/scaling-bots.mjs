// Makes a few bots by training and many by importing what was exported of these.
import { mapBounded, percentile } from './client.mjs';
import { documentOf } from './scaling-content.mjs';
import { round } from './scaling-report.mjs';
import { sleep } from './server.mjs';

const SMALL_TEMPLATES = 6;
const LARGE = { documents: 60, sections: 5 };
const SMALL = { documents: 4, sections: 2 };
const IMPORTS_AT_ONCE = 4;

/** From the request that makes a bot to the source that is ready, once small and once large. */
export async function newBot(name, { client, server }) {
  const of = async (kind, { documents, sections }) => {
    const cpu = server.cpuSeconds();
    const startedAt = performance.now();
    const slug = `${name}-${kind}`;
    await client.post('/v1/bots', { name: slug, slug });
    await train(client, slug, { topic: 0, documents, sections });
    return { ready_ms: round(performance.now() - startedAt), cpu_ms: round((server.cpuSeconds() - cpu) * 1000) };
  };
  return { small: await of('small', SMALL), large: await of('large', LARGE) };
}

/** Trains the bots that all others are copies of, and tells what a chunk costs. */
export async function trainTemplates({ client, server }) {
  const templates = { small: [], large: [] };
  const cost = { chunks: 0, characters: 0, ms: 0, cpuMs: 0 };
  for (let number = 0; number <= SMALL_TEMPLATES; number += 1) {
    const kind = number === SMALL_TEMPLATES ? 'large' : 'small';
    const slug = `template-${number}`;
    await client.post('/v1/bots', { name: slug, slug });
    const cpu = server.cpuSeconds();
    const startedAt = performance.now();
    const trained = await train(client, slug, { topic: number, ...(kind === 'large' ? LARGE : SMALL) });
    if (kind === 'large') {
      cost.ms += performance.now() - startedAt;
      cost.cpuMs += (server.cpuSeconds() - cpu) * 1000;
      cost.chunks += trained.chunks;
      cost.characters += trained.characters;
    }
    const bundle = (await client.download(`/v1/bots/${slug}/export`)).toString('base64');
    templates[kind].push({ topic: number, chunks: trained.chunks, bundle });
  }
  const training = {
    of: `${LARGE.documents} documents in one go`,
    chunks: cost.chunks,
    characters_a_chunk: round(cost.characters / cost.chunks),
    cpu_ms_a_chunk: round(cost.cpuMs / cost.chunks),
    ms_a_chunk: round(cost.ms / cost.chunks),
  };
  return { templates, training };
}

async function train(client, slug, { topic, documents, sections }) {
  let characters = 0;
  for (let first = 0; first < documents; first += 20) {
    const form = new FormData();
    for (let number = first; number < Math.min(documents, first + 20); number += 1) {
      const text = documentOf({ topic, number, sections });
      characters += text.length;
      form.append('file', new Blob([text]), `${topic}-${number}.md`);
    }
    await client.request('POST', `/v1/bots/${slug}/sources`, { form });
  }
  const sources = await allReady(client, slug);
  return { characters, chunks: sources.reduce((sum, { counts }) => sum + counts.chunks, 0) };
}

/** The sources of a bot, once all of them are trained. */
export async function allReady(client, slug) {
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    const { data } = await client.get(`/v1/bots/${slug}/sources?limit=100`);
    if (data.every(({ status }) => status === 'ready')) return data;
    const failed = data.find(({ status }) => ['partial', 'failed'].includes(status));
    if (failed !== undefined) throw new Error(`a source is ${failed.status}: ${failed.last_error?.message}`);
    await sleep(25);
  }
  throw new Error('a training took longer than two minutes');
}

/** Imports the bots that are missing, for so many seconds at most. `made`: numbers of those that are there; grows. */
export async function importBots({ client, server, engine }, { count, largeShare, seconds, random, templates, made }) {
  const known = new Set(made);
  const cpu = { server: server.cpuSeconds(), engine: engine.cpuSeconds() };
  const startedAt = performance.now();
  const deadline = startedAt + seconds * 1000;
  const imported = [];
  const wanted = Array.from({ length: count }, (_, number) => {
    const kind = random() < largeShare ? 'large' : 'small';
    return { slug: `bot-${number}`, kind, template: templates[kind][Math.floor(random() * templates[kind].length)] };
  });
  const all = await mapBounded(wanted, IMPORTS_AT_ONCE, async (bot, number) => {
    if (known.has(number)) return bot;
    if (performance.now() > deadline) return null;
    const begunAt = performance.now();
    const bundle = Buffer.from(bot.template.bundle, 'base64');
    await client.upload(`/v1/bots/import?slug=${bot.slug}&name=${bot.slug}`, bundle);
    made.push(number);
    imported.push({ kind: bot.kind, ms: performance.now() - begunAt });
    if (imported.length % 1000 === 0)
      process.stderr.write(`${imported.length} bots after ${round((performance.now() - startedAt) / 1000)} s\n`);
    return bot;
  });
  const took = (performance.now() - startedAt) / 1000;
  const bots = all.filter((bot) => bot !== null);
  const tenth = Math.max(1, Math.floor(imported.length / 10));
  const ofSmall = (list) => list.filter(({ kind }) => kind === 'small').map(({ ms }) => ms);
  const each = (seconds) => round((seconds * 1000) / imported.length);
  return {
    // In the order of making large and small are mixed, so ranks need no shuffling.
    bots,
    report: {
      how: `${SMALL_TEMPLATES} small bots and a large one were trained; the others are imports of their bundles (POST /v1/bots/import), so uploaded files, but no rows, are shared`,
      bots: bots.length,
      imported: imported.length,
      large: bots.filter(({ kind }) => kind === 'large').length,
      chunks: bots.reduce((sum, { template }) => sum + template.chunks, 0),
      chunks_of_small: templates.small[0].chunks,
      chunks_of_large: templates.large[0].chunks,
      seconds: round(took),
      bots_a_second: round(imported.length / took),
      cpu_ms_a_bot: each(server.cpuSeconds() - cpu.server),
      engine_cpu_ms_a_bot: each(engine.cpuSeconds() - cpu.engine),
      import_ms_of_small: {
        first_tenth: round(percentile(ofSmall(imported.slice(0, tenth)), 50)),
        last_tenth: round(percentile(ofSmall(imported.slice(-tenth)), 50)),
      },
      rss_mb: server.rssMb(),
    },
  };
}
