// Content for searches over many chunks: sentences and questions of collections, and rows made of them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mulberry32 } from './random.mjs';

const SENTENCES_A_CHUNK = 5;
const LEAST_SENTENCE = 20;

/** Sentences of all documents, and the queries in an order that is the same each time. FOLDERS as in retrieval.mjs. */
export async function readTexts(folders) {
  const read = async (folder, name) =>
    (await readFile(join(folder, `${name}.jsonl`), 'utf8'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  const sentences = [];
  const queries = [];
  for (const folder of folders) {
    for (const { text } of await read(folder, 'documents')) {
      sentences.push(...text.split(/(?<=[.!?])\s+|\n+/).filter((sentence) => sentence.length > LEAST_SENTENCE));
    }
    for (const { text } of await read(folder, 'queries')) queries.push(text);
  }
  const random = mulberry32(11);
  const shuffled = queries.map((text) => [random(), text]).sort(([one], [other]) => one - other);
  return { sentences, queries: shuffled.map(([, text]) => text) };
}

/** Half of a chunk from one place of the texts, half from another: neighbours without being copies. */
export function textOf(sentences, random) {
  const half = Math.ceil(SENTENCES_A_CHUNK / 2);
  const from = () => {
    const start = Math.floor(random() * (sentences.length - half));
    return sentences.slice(start, start + half);
  };
  return [...from(), ...from()].slice(0, SENTENCES_A_CHUNK).join(' ');
}

export function botOf(id) {
  return {
    ...{ id, name: 'Benchmark', slug: id.replaceAll('_', '-'), instructions: null, model: null, temperature: null },
    ...{ maxOutputTokens: null, refusalMessage: null, retrieval: {}, privacy: { pii: 'off' }, metadata: {} },
    ...{ createdAt: 1, updatedAt: 1 },
  };
}

export function sourceOf(botId) {
  return {
    ...{ id: `src_${botId}`, botId, type: 'text', title: 'Texts', url: null, status: 'ready', stage: null },
    ...{ progress: { done: 0, total: 0 }, counts: { documents: 0, chunks: 0, tokens: 0, reused: 0 } },
    ...{ lastError: null, jobId: null, externalKey: null, metadata: {}, inputs: [], contentHash: '' },
    ...{ createdAt: 1, updatedAt: 1 },
  };
}

/** A document `doc_<name>` of so many chunks `chk_<name>_<position>`. */
export function documentOf(name, chunks, makeText) {
  const id = `doc_${name}`;
  const texts = Array.from({ length: chunks }, makeText);
  let offset = 0;
  return {
    document: {
      ...{ id, title: `Part ${name}`, url: null, inputName: 'a.txt', state: 'searchable', lastError: null },
      ...{ contentHash: id, text: texts.join('\n'), tokens: 0 },
    },
    chunks: texts.map((text, position) => {
      const start = offset;
      offset += text.length + 1;
      const place = { id: `chk_${name}_${position}`, position, start, end: start + text.length };
      return { ...place, text, headingPath: [], page: null, tokens: 0, hash: `${id}/${position}` };
    }),
  };
}
