// Feeds damaged files to the document parser: no crash, no hang, no growth of memory.
//   node bench/fuzz.mjs --files FOLDER [--count 10000] [--seed 1] [--json]
// Each round takes a real file, damages it (bits, bytes, blocks, cuts, splices of two files), and parses it to its end in the
// parser's own worker processes, whose memory counts. An outcome is a document or an error with a code; anything else is a crash.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDocumentParser } from '../server/dist/training/index.js';
import { mulberry32 } from './lib/random.mjs';
import { treeRssMb } from './lib/server.mjs';

const HANG_MS = 10_000;
const PARTS = 50;
const AT_ONCE = 2;
const SAMPLE_MS = 50;
/** Damage is in proportion for small files and stays local in large ones. */
const LARGEST_FILE = 3_000_000;

const { values } = parseArgs({
  options: {
    files: { type: 'string' },
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
if (values.files === undefined) {
  console.error('Say where the files are: node bench/fuzz.mjs --files FOLDER');
  process.exit(2);
}

const random = mulberry32(Number(values.seed));
const below = (limit) => Math.floor(random() * limit);
const files = await readFiles(values.files);
const folder = await mkdtemp(join(tmpdir(), 'fuzz-'));
const parser = createDocumentParser({ size: AT_ONCE });
const outcomes = new Map();
const crashes = [];
const hangs = [];
let slowest = { ms: 0, name: '' };
let round = 0;

// The first rounds load the parsers; growth is what comes after that.
const warmUp = Math.min(200, Math.floor(Number(values.count) / 10));
const started = Date.now();
let restingRss = 0;
let peakRss = 0;
const sampler = setInterval(() => {
  const rss = treeRssMb(process.pid);
  if (round <= warmUp) restingRss = Math.max(restingRss, rss);
  peakRss = Math.max(peakRss, rss);
}, SAMPLE_MS);
await Promise.all(Array.from({ length: AT_ONCE }, (_, worker) => work(worker)));
clearInterval(sampler);
await parser.stop();
await rm(folder, { recursive: true });

const result = {
  files: files.length,
  rounds: round,
  seconds: Math.round((Date.now() - started) / 1000),
  outcomes: Object.fromEntries([...outcomes].sort((a, b) => b[1] - a[1])),
  crashes: crashes.length,
  hangs: hangs.length,
  slowest_ms: slowest.ms,
  slowest: slowest.name,
  rss_growth_mb: peakRss - restingRss,
  examples: [...crashes, ...hangs].slice(0, 20),
};
console.log(JSON.stringify(result, null, values.json ? 0 : 2));
process.exitCode = crashes.length + hangs.length === 0 && result.rss_growth_mb <= 300 ? 0 : 1;

async function work(worker) {
  while (round < Number(values.count)) {
    round += 1;
    const number = round;
    if (number % 500 === 0) console.error(`${number} of ${values.count}, RSS ${treeRssMb(process.pid)} MB`);
    const { name, bytes } = damaged();
    const path = join(folder, `${worker}${extname(name)}`);
    await writeFile(path, bytes);
    const begun = performance.now();
    const outcome = await parseAll(path, name);
    const ms = Math.round(performance.now() - begun);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (ms > slowest.ms) slowest = { ms, name };
    if (outcome.startsWith('crash')) crashes.push({ round: number, name, outcome });
    if (ms > HANG_MS) hangs.push({ round: number, name, ms });
  }
}

async function parseAll(path, name) {
  try {
    let from = null;
    let documents = 0;
    for (let part = 0; part < PARTS; part += 1) {
      const parsed = await parser.parse({ path, name, mediaType: '', fallbackTitle: name, from });
      documents += parsed.documents.length;
      from = parsed.next;
      if (from === null) break;
    }
    return documents > 0 ? 'document' : 'refused';
  } catch (error) {
    return error.name === 'AppError' && error.code !== 'internal_error'
      ? error.code
      : `crash ${error.code ?? error.name}: ${error.message} ${error.cause ?? ''}`;
  }
}

function damaged() {
  const file = files[below(files.length)];
  let bytes = Buffer.from(file.bytes);
  for (let times = 1 + below(4); times > 0 && bytes.length > 0; times -= 1) bytes = damage(bytes);
  return { name: file.name, bytes };
}

function damage(bytes) {
  const at = below(Math.max(1, bytes.length));
  const length = 1 + below(Math.min(2_000, Math.max(1, bytes.length - at)));
  switch (below(9)) {
    case 0:
      bytes[at] ^= 1 << below(8);
      return bytes;
    case 1:
      for (let n = below(64); n > 0; n -= 1) bytes[below(bytes.length)] = below(256);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 5:
      bytes.fill(below(2) * 255, at, at + length);
      return bytes;
    case 6: {
      const other = files[below(files.length)].bytes;
      return Buffer.concat([bytes.subarray(0, at), other.subarray(below(other.length))]).subarray(0, LARGEST_FILE);
    }
    case 7:
      // Lengths and offsets of binary formats.
      if (at + 4 <= bytes.length) bytes.writeUInt32LE([0, 0x7fffffff, 0xffffffff, below(2 ** 32)][below(4)], at);
      return bytes;
    default:
      return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(length, bytes[at] ?? 0), bytes.subarray(at)]);
  }
}

async function readFiles(root) {
  const found = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || /^LICENSE/.test(entry.name)) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    if (bytes.length > 0 && bytes.length <= LARGEST_FILE) found.push({ name: entry.name, bytes });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
