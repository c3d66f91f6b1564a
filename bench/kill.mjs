// Kills the server with SIGKILL at random moments while documents are uploaded, and counts what was lost, doubled or left
// unfinished after the last restart. Prints one JSON object.
//   node bench/kill.mjs --kills 30
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    documents: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
  },
});
const random = mulberry32(Number(values.seed));
const folder = await mkdtemp(join(tmpdir(), 'chatsphere-kill-'));
const totals = { kills: 0, acknowledged: 0, lost: 0, doubled: 0, unfinished: 0, failed: 0 };

try {
  while (totals.kills < Number(values.kills)) await killOnce(totals.kills);
  console.log(JSON.stringify(totals));
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** One round: a bot, uploads in parallel, a kill in their midst, a restart, and the count. */
async function killOnce(round) {
  const acknowledged = new Map();
  let server = await startServer({ dataFolder: folder });
  const client = createClient({ url: server.url, key: BENCH_KEY });
  const bot = await client.post('/v1/bots', { name: `Round ${round}`, slug: `round-${round}` });
  const uploads = uploadAll(client, bot.id, acknowledged);
  await sleep(random() * 700);
  await server.kill('SIGKILL');
  await uploads;
  totals.kills += 1;
  server = await startServer({ dataFolder: folder });
  try {
    await count(createClient({ url: server.url, key: BENCH_KEY }), bot.id, acknowledged);
  } finally {
    await server.kill('SIGKILL');
  }
}

async function uploadAll(client, botId, acknowledged) {
  const numbers = Array.from({ length: Number(values.documents) }, (_, number) => number);
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        try {
          const source = await client.post(`/v1/bots/${botId}/sources`, {
            type: 'text',
            title: `Document ${number}`,
            content: textOf(number),
            external_key: `key-${number}`,
          });
          acknowledged.set(`key-${number}`, source.id);
        } catch {
          return;
        }
      }
    }),
  );
}

async function count(client, botId, acknowledged) {
  const deadline = Date.now() + 60_000;
  let sources = [];
  while (Date.now() < deadline) {
    sources = [];
    for await (const source of client.list(`/v1/bots/${botId}/sources`)) sources.push(source);
    if (sources.every((source) => ['ready', 'partial', 'failed'].includes(source.status))) break;
    await sleep(100);
  }
  totals.acknowledged += acknowledged.size;
  for (const [key, id] of acknowledged) {
    const found = sources.filter((source) => source.external_key === key);
    if (!found.some((source) => source.id === id)) totals.lost += 1;
    if (found.length > 1) totals.doubled += 1;
  }
  for (const source of sources) {
    if (source.status === 'failed' || source.status === 'partial') totals.failed += 1;
    else if (source.status !== 'ready') totals.unfinished += 1;
    const job = await client.get(`/v1/jobs/${source.job_id}`);
    if (!['succeeded', 'failed', 'cancelled'].includes(job.state ?? job.status)) totals.unfinished += 1;
    const documents = await client.get(`/v1/bots/${botId}/sources/${source.id}/documents`);
    if (source.status === 'ready' && documents.data.length !== 1) totals.doubled += 1;
    const number = source.external_key.slice(4);
    const hits = await client.post(`/v1/bots/${botId}/search`, { query: `zyx${number}word`, max_num_results: 20 });
    const own = hits.data.filter((hit) => hit.source_id === source.id && hit.text.includes(`zyx${number}word`));
    if (source.status === 'ready' && own.length === 0) totals.lost += 1;
    if (own.length > 1) totals.doubled += 1;
  }
}

function textOf(number) {
  const paragraph = `Paragraph about topic ${number} with enough words to be cut into pieces and embedded. `.repeat(20);
  return `# Document ${number}\n\nThe secret word is zyx${number}word.\n\n${paragraph}\n\n## More\n\n${paragraph}`;
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
