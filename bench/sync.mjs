// Trains a bot on a folder with the command line against a running server, again without a change, and again after small
// changes; says what that took and how much was embedded. Prints one JSON object; exit code 1 when a bar is missed.
//   node bench/sync.mjs --pages FOLDER
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { createClient } from './lib/client.mjs';
import { mulberry32 } from './lib/random.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const BARS = { unchangedShare: 0.05, changedShare: 0.02 };
const MAIN = fileURLToPath(new URL('../server/dist/app/main-cli.js', import.meta.url));
const run = promisify(execFile);
const { values } = parseArgs({ options: { pages: { type: 'string' }, seed: { type: 'string', default: '1' } } });
if (values.pages === undefined) throw new Error('--pages FOLDER is missing');
const random = mulberry32(Number(values.seed));

const work = await mkdtemp(join(tmpdir(), 'chatsphere-sync-'));
const pages = join(work, 'pages');
await cp(values.pages, pages, { recursive: true });
const server = await startServer();
const client = createClient({ url: server.url, key: BENCH_KEY });
try {
  await demoTrained();
  await client.post('/v1/bots', { name: 'Handbook', slug: 'handbook' });
  const first = await train();
  const times = [];
  let embeddedTexts = 0;
  for (let round = 0; round < 3; round += 1) {
    await touchAll();
    const again = await train();
    times.push(again.seconds);
    embeddedTexts += again.embedded_texts;
  }
  const unchanged = { seconds: Math.min(...times), all_seconds: times, embedded_texts: embeddedTexts };
  const before = await chunksByKey();
  const total = [...before.values()].reduce((sum, hashes) => sum + hashes.length, 0);
  const edits = Math.ceil(total * 0.01);
  await editLines(edits);
  const changed = await train();
  const after = await chunksByKey();
  const renewed = newChunks(before, after);
  const result = {
    first,
    unchanged: { ...unchanged, share_of_first: round(unchanged.seconds / first.seconds, 4) },
    one_percent: { ...changed, chunks: total, edits, new_chunks: renewed, share_of_chunks: round(renewed / total, 4) },
    bars: BARS,
  };
  console.log(JSON.stringify(result, null, 2));
  const missed =
    unchanged.embedded_texts > 0 ||
    result.unchanged.share_of_first > BARS.unchangedShare ||
    result.one_percent.share_of_chunks > BARS.changedShare ||
    changed.embedded_texts > renewed * 4;
  if (missed) process.exitCode = 1;
} finally {
  await server.stop();
  await rm(work, { recursive: true, force: true });
}

/** One run of the command line, from its start to its end. */
async function train() {
  const before = await embeddedTexts();
  const startedAt = performance.now();
  const target = ['--server', server.url, '--key', BENCH_KEY];
  const arguments_ = [MAIN, 'train', pages, '--bot', 'handbook', '--prune', '--yes', '--json', ...target];
  // Some files of the folder are empty: that ends with exit code 6.
  const { stdout } = await run(process.execPath, arguments_, { maxBuffer: 1 << 28 }).catch((error) => {
    if (error.code === 6) return error;
    throw error;
  });
  const seconds = round((performance.now() - startedAt) / 1000, 3);
  const events = stdout.trim().split('\n').map(JSON.parse);
  const { upload } = events.find(({ event }) => event === 'plan');
  const { ready, failed } = events.at(-1);
  return { seconds, uploaded: upload, ready, failed, embedded_texts: (await embeddedTexts()) - before };
}

/** Texts (windows of chunks) that the embedder has been given since the server started. */
async function embeddedTexts() {
  const response = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${BENCH_KEY}` } });
  return (
    (await response.text())
      .split('\n')
      .filter((line) => line.startsWith('chatsphere_embedding_texts_total{') && !line.includes('outcome="cached"'))
      // The second embedder follows the first training in the background, at its own time.
      .filter((line) => !line.includes('model="local/use-lite"'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  );
}

async function demoTrained() {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const { data } = await client.get('/v1/bots/demo/sources?limit=100');
    if (data.length > 3 && data.every(({ status }) => status === 'ready')) return;
    await sleep(100);
  }
}

/** New times of change and nothing else: no reason to do any work. */
async function touchAll() {
  for (const path of await filePaths()) await utimes(path, new Date(), new Date());
}

async function filePaths() {
  const entries = await readdir(pages, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Adds a word to so many lines of prose, anywhere. */
async function editLines(count) {
  const paths = (await filePaths()).filter((path) => path.endsWith('.md')).sort();
  for (let done = 0; done < count; ) {
    const path = paths[Math.floor(random() * paths.length)];
    const lines = (await readFile(path, 'utf8')).split('\n');
    const prose = lines.flatMap((line, number) => (/^[A-Z][^|]{80,}$/.test(line) ? [number] : []));
    if (prose.length === 0) continue;
    const number = prose[Math.floor(random() * prose.length)];
    lines[number] = `${lines[number]} Changed${done}.`;
    await writeFile(path, lines.join('\n'));
    done += 1;
  }
}

/** Hashes of the chunks of every source. */
async function chunksByKey() {
  const hashes = new Map();
  for await (const source of client.list('/v1/bots/handbook/sources')) {
    const { data: documents } = await client.get(`/v1/bots/handbook/sources/${source.id}/documents?limit=100`);
    const own = [];
    for (const document of documents) {
      for await (const chunk of client.list(`/v1/documents/${document.id}/chunks`)) own.push(chunk.hash);
    }
    hashes.set(source.external_key, own);
  }
  return hashes;
}

function newChunks(before, after) {
  const known = new Set([...before.values()].flat());
  return [...after.values()].flat().filter((hash) => !known.has(hash)).length;
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
