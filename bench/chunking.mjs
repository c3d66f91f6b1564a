// Measures how much of what answers a question is handed over, and how much else, on a set of questions with reference
// excerpts. All corpora are trained into one bot; each question is asked of the search route.
//   node bench/chunking.mjs --data FOLDER [--max-characters 7400 --max-characters 3800] [--json] [--verbose]
// FOLDER holds questions.csv (question, references: JSON list of {content, start_index, end_index}, corpus_id) and
// corpora/NAME.md. Recall: the share of a question's reference characters that is handed over. IoU: characters in both
// over characters in either. Both are means over the questions.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, mapBounded } from './lib/client.mjs';
import { parseCsv } from './lib/csv.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    'max-characters': { type: 'string', multiple: true, default: ['7400', '3800'] },
    results: { type: 'string', default: '5' },
    strategy: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (values.data === undefined) {
  console.error('Say where the questions are: node bench/chunking.mjs --data FOLDER');
  process.exit(2);
}

const server = await startServer();
const client = createClient({ url: server.url, key: BENCH_KEY });
try {
  const corpora = await readCorpora();
  const questions = await readQuestions(corpora);
  const bot = await train(corpora);
  for (const budget of values['max-characters'])
    report(await measure(bot, { corpora, questions, budget: Number(budget) }));
} finally {
  await server.stop();
}

async function readCorpora() {
  const folder = join(values.data, 'corpora');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.md')).sort();
  return Promise.all(
    names.map(async (name) => ({
      id: name.replace(/\.md$/, ''),
      name,
      text: await readFile(join(folder, name), 'utf8'),
    })),
  );
}

async function readQuestions(corpora) {
  const rows = parseCsv(await readFile(join(values.data, 'questions.csv'), 'utf8'));
  const [names, ...records] = rows;
  const column = (name) => names.indexOf(name);
  const units = new Map(corpora.map(({ id, text }) => [id, unitsOf(text)]));
  return records.map((record) => {
    const corpus = record[column('corpus_id')];
    const toUnit = units.get(corpus);
    const references = JSON.parse(record[column('references')]).map(({ start_index, end_index }) => ({
      start: toUnit(start_index),
      end: toUnit(end_index),
    }));
    return { question: record[column('question')], corpus, references };
  });
}

/** The references count code points, offsets here count UTF-16 units. */
function unitsOf(text) {
  const wide = [];
  let points = 0;
  for (const character of text) {
    if (character.length === 2) wide.push(points);
    points += 1;
  }
  return (point) => point + wide.filter((at) => at < point).length;
}

async function train(corpora) {
  const strategy = values.strategy === undefined ? {} : { chunking_strategy: JSON.parse(values.strategy) };
  const bot = await client.post('/v1/bots', { name: 'Chunking benchmark', ...strategy });
  for (const { id, name, text } of corpora) {
    const form = new FormData();
    form.append('file', new Blob([text]), name);
    form.append('external_key', id);
    await client.request('POST', `/v1/bots/${bot.id}/sources`, { form });
  }
  for (;;) {
    const sources = [];
    for await (const source of client.list(`/v1/bots/${bot.id}/sources`)) sources.push(source);
    if (sources.every(({ status }) => status === 'ready')) return bot;
    const failed = sources.find(({ status }) => status === 'failed' || status === 'partial');
    if (failed !== undefined) throw new Error(`${failed.external_key}: ${failed.last_error?.code}`);
    await sleep(200);
  }
}

async function measure(bot, { corpora, questions, budget }) {
  const maps = new Map();
  const scores = await mapBounded(questions, 2, async ({ question, corpus, references }) => {
    const page = await client.post(`/v1/bots/${bot.id}/search`, {
      query: question,
      max_num_results: Number(values.results),
      passages: { max_characters: budget },
    });
    const handed = [];
    let characters = 0;
    for (const hit of page.data) {
      characters += hit.text.length;
      if (hit.external_key !== corpus) continue;
      const toCorpus = await mapOf(maps, hit, corpora);
      handed.push({ start: toCorpus(hit.start), end: toCorpus(hit.end) });
    }
    const both = overlap(union(references), union(handed));
    const wanted = lengthOf(union(references));
    return { recall: both / wanted, iou: both / (wanted + characters - both), characters, corpus };
  });
  return { budget, scores };
}

/** Where an offset of the stored text lies in the corpus it came from: both hold the same visible characters in order. */
async function mapOf(maps, hit, corpora) {
  const known = maps.get(hit.document_id);
  if (known !== undefined) return known;
  const { text } = await client.get(`/v1/documents/${hit.document_id}`);
  const corpus = corpora.find(({ id }) => id === hit.external_key).text;
  const places = align(text, corpus);
  const toCorpus = (offset) => places[Math.min(offset, places.length - 1)];
  maps.set(hit.document_id, toCorpus);
  return toCorpus;
}

/** Greedy alignment that skips what only one side has, trying the shortest skips first. */
function align(stored, corpus) {
  const places = new Int32Array(stored.length + 1);
  let at = 0;
  for (let position = 0; position < stored.length; position += 1) {
    if (isBlank(stored[position])) {
      places[position] = at;
      continue;
    }
    const found = nextMatch(stored, position, { corpus, at });
    places[position] = found ?? at;
    if (found !== null) at = found + 1;
  }
  places[stored.length] = at;
  return places;
}

function nextMatch(stored, position, { corpus, at }) {
  for (let place = at; place < Math.min(corpus.length, at + 400); place += 1) {
    if (corpus[place] !== stored[position]) continue;
    if (place === at || isBlankRun(corpus, at, place)) return place;
    const ahead = stored.slice(position, position + 12).replace(/\s+/g, '');
    if (
      corpus
        .slice(place, place + 30)
        .replace(/\s+/g, '')
        .startsWith(ahead.slice(0, 8))
    )
      return place;
  }
  return null;
}

function isBlankRun(text, start, end) {
  return text.slice(start, end).trim() === '';
}

function isBlank(character) {
  return character.trim() === '';
}

function union(ranges) {
  const joined = [];
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last !== undefined && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else joined.push({ ...range });
  }
  return joined;
}

function overlap(one, other) {
  let sum = 0;
  for (const a of one) for (const b of other) sum += Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));
  return sum;
}

function lengthOf(ranges) {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

function report({ budget, scores }) {
  const of = (list) => ({
    questions: list.length,
    recall: mean(list.map(({ recall }) => recall)),
    iou: mean(list.map(({ iou }) => iou)),
    mean_characters: Math.round(mean(list.map(({ characters }) => characters))),
    most_characters: Math.max(...list.map(({ characters }) => characters)),
  });
  const corpora = [...new Set(scores.map(({ corpus }) => corpus))].sort();
  const result = {
    max_characters: budget,
    ...of(scores),
    corpora: Object.fromEntries(
      corpora.map((corpus) => [corpus, of(scores.filter((score) => score.corpus === corpus))]),
    ),
  };
  if (values.json) return console.log(JSON.stringify(result));
  const line = (name, { questions, recall, iou, mean_characters, most_characters }) =>
    console.log(
      `${name.padEnd(22)} ${String(questions).padStart(4)} questions  recall ${recall.toFixed(4)}  IoU ${iou.toFixed(4)}  characters ${mean_characters} (at most ${most_characters})`,
    );
  line(`at most ${budget}`, result);
  for (const corpus of corpora) line(`  ${corpus}`, result.corpora[corpus]);
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
