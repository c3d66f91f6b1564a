// Trains every file of a folder of documents over HTTP and checks what was stored against the expected texts beside them.
//   node bench/documents.mjs --data FOLDER [--json]      (FOLDER/documents, or a folder of documents itself)
import { access, readdir, readFile } from 'node:fs/promises';
import { basename, extname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, mapBounded } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

/** Share of the words of an expected text that must be in the stored one, each as often. */
const LEAST_RECALL = 0.95;
/** Files that are refused, each with its reason; every other file has to be `ready`. */
const REFUSED = {
  'MEDRPT-2024-PAT-3847_medical_report_scan.pdf': 'no_text_layer',
  'password_protected.xlsx': 'password_protected',
};
/** Texts about the files, not files to train on. */
const LEFT_OUT = /^LICENSE/i;

const { values } = parseArgs({ options: { data: { type: 'string' }, json: { type: 'boolean' } } });
if (values.data === undefined) throw new Error('--data FOLDER is missing');
const folder = (await exists(join(values.data, 'documents'))) ? join(values.data, 'documents') : values.data;

// Refusals are what is looked at here: the log need not tell of them too.
const server = await startServer({ env: { LOG_LEVEL: 'error' } });
const client = createClient({ url: server.url, key: BENCH_KEY });
let failed = false;
try {
  const bot = await client.post('/v1/bots', { name: 'Documents', slug: 'documents' });
  const startedAt = performance.now();
  const files = await mapBounded([...(await documents()), ...(await madeHere())], 1, (file) => train(bot, file));
  const compared = files.filter((file) => file.word_recall !== undefined);
  const result = {
    files: files.length,
    as_expected: files.filter((file) => file.as_expected).length,
    compared: compared.length,
    least_word_recall: Math.min(...compared.map((file) => file.word_recall)),
    table_rows: sum(compared, 'table_rows'),
    table_rows_in_order: sum(compared, 'table_rows_in_order'),
    seconds: round((performance.now() - startedAt) / 1000, 1),
    peak_rss_mb: server.peakRssMb(),
    details: files,
  };
  if (values.json) console.log(JSON.stringify(result, null, 2));
  else print(result);
  failed =
    result.as_expected < result.files ||
    result.least_word_recall < LEAST_RECALL ||
    result.table_rows_in_order < result.table_rows;
} finally {
  await server.stop();
}
process.exitCode = failed ? 1 : 0;

async function documents() {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const names = new Set(paths);
  const isExpectation = (path) => extname(path) === '.md' && names.has(path.replace(/\.md$/, '.pdf'));
  return Promise.all(
    paths
      .filter((path) => !isExpectation(path) && !LEFT_OUT.test(basename(path)))
      .sort()
      .map(async (path) => {
        const expectation = path.replace(/\.[^.]+$/, '.md');
        const expected = names.has(expectation) && expectation !== path ? await readFile(expectation, 'utf8') : null;
        return { name: relative(folder, path), bytes: await readFile(path), expected, code: REFUSED[basename(path)] };
      }),
  );
}

/** Cases of which the folder has no file. */
async function madeHere() {
  const blank = (content) =>
    Buffer.from(
      `%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>\nendobj\ntrailer\n<< /Root 1 0 R ${content} >>\n%%EOF\n`,
    );
  const lock = `/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <${'ab'.repeat(32)}> /U <${'cd'.repeat(32)}> >> /ID [<${'01'.repeat(16)}> <${'01'.repeat(16)}>]`;
  return [
    { name: '(made) empty.txt', bytes: Buffer.alloc(0), expected: null, code: 'empty_content' },
    { name: '(made) blank-page.pdf', bytes: blank(''), expected: null, code: 'empty_content' },
    { name: '(made) password.pdf', bytes: blank(lock), expected: null, code: 'password_protected' },
    { name: '(made) cut-off.pdf', bytes: blank('').subarray(0, 60), expected: null, code: 'parse_failed' },
  ];
}

async function train(bot, { name, bytes, expected, code: expectedCode = null }) {
  const startedAt = performance.now();
  const outcome = await trained(bot, name, bytes);
  const file = { name, ...outcome.told, ms: Math.round(performance.now() - startedAt) };
  file.as_expected = file.code === expectedCode && (expectedCode !== null || file.status === 'ready');
  if (expected === null) return file;
  const texts = [];
  for (const { id } of outcome.documents) texts.push((await client.get(`/v1/documents/${id}`)).text);
  const rows = tableRows(expected);
  // What one table takes for two columns may be one in the other.
  const lines = texts.join('\n').replace(/[|·]/g, ' ').split('\n').map(normal);
  const missed = rows.filter((cells) => !lines.some((line) => inOrder(cells, line)));
  return {
    ...file,
    word_recall: round(recall(wordsOf(expected), wordsOf(texts.join('\n'))), 4),
    table_rows: rows.length,
    table_rows_in_order: rows.length - missed.length,
    missed_rows: missed.map((cells) => cells.join(' | ')),
  };
}

/** Uploads a file and waits until it is trained. */
async function trained(bot, name, bytes) {
  const form = new FormData();
  form.append('file', new Blob([bytes]), basename(name));
  let source;
  try {
    source = await client.request('PUT', `/v1/bots/${bot.id}/sources/by-key/${encodeURIComponent(name)}`, { form });
  } catch (error) {
    if (error.status === undefined || error.status >= 500) throw error;
    return { documents: [], told: { status: 'refused', code: error.code, documents: 0, chunks: 0 } };
  }
  while (!['ready', 'partial', 'failed'].includes(source.status)) {
    await sleep(20);
    source = await client.get(`/v1/bots/${bot.id}/sources/${source.id}`);
  }
  const { status, counts } = source;
  const stored = [];
  for await (const document of client.list(`/v1/bots/${bot.id}/sources/${source.id}/documents`)) stored.push(document);
  const code = source.last_error?.code ?? null;
  return { documents: stored, told: { status, code, documents: counts.documents, chunks: counts.chunks } };
}

/** Words in lower case with how often each is there. */
function wordsOf(text) {
  const counts = new Map();
  for (const [word] of text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

function recall(expected, found) {
  let all = 0;
  let hits = 0;
  for (const [word, count] of expected) {
    all += count;
    hits += Math.min(count, found.get(word) ?? 0);
  }
  return all === 0 ? 1 : hits / all;
}

/** The cells of each row of the pipe tables, empty ones left out. */
function tableRows(text) {
  return text
    .split('\n')
    .filter((line) => /^\s*\|.*\|\s*$/.test(line) && !/^[\s|:-]+$/.test(line))
    .map((line) => line.split('|').map(normal).filter(Boolean))
    .filter((cells) => cells.length > 1);
}

function normal(text) {
  return text.replaceAll('\\', '').replace(/\s+/g, ' ').trim().toLowerCase();
}

function inOrder(cells, line) {
  let at = 0;
  for (const cell of cells) {
    const found = line.indexOf(cell, at);
    if (found < 0) return false;
    at = found + cell.length;
  }
  return true;
}

function print({ details, ...totals }) {
  const width = Math.max(...details.map(({ name }) => name.length));
  for (const file of details) {
    const compared =
      file.word_recall === undefined
        ? ''
        : `  words ${file.word_recall.toFixed(4)}  rows ${file.table_rows_in_order}/${file.table_rows}`;
    console.log(
      `${file.as_expected ? 'ok   ' : 'WRONG'} ${file.name.padEnd(width)} ${file.status.padEnd(8)} ${(file.code ?? '-').padEnd(22)} ${String(file.documents).padStart(3)} documents ${String(file.chunks).padStart(4)} chunks ${String(file.ms).padStart(6)} ms${compared}`,
    );
    for (const row of file.missed_rows ?? []) console.log(`      not in order: ${row}`);
  }
  console.log(totals);
}

function sum(items, field) {
  return items.reduce((total, item) => total + item[field], 0);
}

function round(value, digits) {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

async function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}
