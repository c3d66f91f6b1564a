// Search by words on PostgreSQL over many chunks, of one build or of two side by side.
//   node bench/lexical.mjs --database-url postgres://user@host/database --data FOLDER [--data FOLDER ...] [--chunks 100000]
//     [--beside DIST] [--keep]
// FOLDER as in retrieval.mjs. DIST is the server/dist of another build that the same questions are put to in turn. With --keep
// the content stays and the next run finds it. Each question is asked as a hybrid search does: `search` for the best 50, then
// `score` for 50 other chunks. Prints one JSON object: milliseconds, and those of processor time in this process (`cpu`).
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile } from './lib/client.mjs';
import { botOf, documentOf, readTexts, sourceOf, textOf } from './lib/measured-texts.mjs';
import { mulberry32 } from './lib/random.mjs';

const CHUNKS_A_DOCUMENT = 200;
const WARM_UP_QUERIES = 30;
const MEASURED_QUERIES = 300;

const { values } = parseArgs({
  options: {
    'database-url': { type: 'string' },
    data: { type: 'string', multiple: true, default: [] },
    chunks: { type: 'string', default: '100000' },
    beside: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
if (values['database-url'] === undefined || values.data.length === 0) {
  console.error('Say where: node bench/lexical.mjs --database-url URL --data FOLDER');
  process.exit(2);
}

const count = Number(values.chunks);
const tenantId = `tnt_lexical_${count}`;
const key = { tenantId, botId: `bot_lexical_${count}` };
const builds = { this: await open(new URL('../server/dist/', import.meta.url)) };
if (values.beside !== undefined) builds.beside = await open(pathToFileURL(`${resolve(values.beside)}/`));
const { sentences, queries } = await readTexts(values.data);
try {
  await fill(builds.this.store);
  console.log(JSON.stringify({ chunks: count, ...(await measure()) }));
} finally {
  if (!values.keep) await builds.this.store.tenants.delete(tenantId);
  for (const { store } of Object.values(builds)) await store.stop();
}

async function open(dist) {
  const { openPostgres } = await import(new URL('adapters/postgres/index.js', dist));
  const { silentLogger, systemClock } = await import(new URL('kernel/index.js', dist));
  const { queryTerms } = await import(new URL('vector-store/index.js', dist));
  const postgres = openPostgres({ url: values['database-url'], clock: systemClock, logger: silentLogger });
  await postgres.store.start();
  return { store: postgres.store, lexical: postgres.lexicalIndex, queryTerms };
}

async function fill(store) {
  if ((await store.tenants.get(tenantId)) !== null) return;
  const random = mulberry32(7);
  await store.tenants.create({ id: tenantId, name: 'Benchmark', createdAt: 1, updatedAt: 1 });
  const own = store.forTenant(tenantId);
  await own.bots.create(botOf(key.botId));
  const source = sourceOf(key.botId);
  await own.sources.create(source);
  for (let number = 0; number * CHUNKS_A_DOCUMENT < count; number += 1) {
    const chunks = Math.min(CHUNKS_A_DOCUMENT, count - number * CHUNKS_A_DOCUMENT);
    await own.documents.add(
      key.botId,
      source.id,
      documentOf(`lexical_${number}`, chunks, () => textOf(sentences, random)),
    );
    if (number % 50 === 49) console.error(`${(number + 1) * CHUNKS_A_DOCUMENT} chunks ...`);
  }
}

async function measure() {
  const asked = queries.slice(0, WARM_UP_QUERIES + MEASURED_QUERIES);
  const times = Object.fromEntries(
    Object.keys(builds).map((name) => [name, { search: [], score: [], both: [], cpu: [] }]),
  );
  const random = mulberry32(3);
  let different = 0;
  for (const [position, text] of asked.entries()) {
    const others = Array.from({ length: 50 }, () => {
      const chunk = Math.floor(random() * count);
      return `chk_lexical_${Math.floor(chunk / CHUNKS_A_DOCUMENT)}_${chunk % CHUNKS_A_DOCUMENT}`;
    });
    const answers = [];
    // Which one is asked first changes, as what is asked first warms the database for the other.
    const order = Object.entries(builds);
    if (position % 2 === 1) order.reverse();
    for (const [name, { lexical, queryTerms }] of order) {
      const terms = queryTerms(text);
      const cpuBefore = process.cpuUsage();
      const startedAt = performance.now();
      const found = await lexical.search(key, { terms, limit: 50 });
      const searchedAt = performance.now();
      const scored = await lexical.score(key, { terms, chunkIds: others });
      const endedAt = performance.now();
      const { user, system } = process.cpuUsage(cpuBefore);
      answers.push(JSON.stringify([found, scored]));
      if (position < WARM_UP_QUERIES) continue;
      times[name].search.push(searchedAt - startedAt);
      times[name].score.push(endedAt - searchedAt);
      times[name].both.push(endedAt - startedAt);
      times[name].cpu.push((user + system) / 1000);
    }
    if (new Set(answers).size > 1) different += 1;
  }
  const figures = Object.fromEntries(
    Object.entries(times).map(([name, parts]) => [
      name,
      Object.fromEntries(Object.entries(parts).map(([part, all]) => [`${part}_ms`, figuresOf(all)])),
    ]),
  );
  return { ...figures, questions: MEASURED_QUERIES, different_answers: different };
}

function figuresOf(milliseconds) {
  const rounded = (share) => Math.round(percentile(milliseconds, share) * 100) / 100;
  return { p50: rounded(50), p95: rounded(95), most: rounded(100) };
}
