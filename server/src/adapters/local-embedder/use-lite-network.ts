import {
  createMatrixKernel,
  type LeftMatrix,
  type MatrixKernel,
  type Norm,
  type RightMatrix,
} from './matrix-kernel.ts';
import { quantiseMatrix } from './quantise.ts';
import { createSelfAttention, type SelfAttention } from './self-attention.ts';
import type { UseLiteFiles } from './use-lite-weights.ts';

/** The model reads no further. */
export const LONGEST_PIECES = 128;
export const USE_LITE_DIMENSIONS = 512;

const PIECE_WIDTH = 256;
const WIDTH = 512;
const INNER_WIDTH = 1_536;
const HEADS = 4;
/** Rows of a run of the network: more are no faster a row. */
const MOST_ROWS = 512;
/** Behind the last row, whole tiles are written. */
const SPARE_ROWS = 8;
const MEMORY_BYTES = 32 * 1024 ** 2;

/** The sentence encoder itself, on the calling thread: numbers of pieces to vectors. */
export interface UseLiteNetwork {
  /** One unit vector of 512 numbers a text, one after the other. No text may be empty; of long ones the start is read. */
  embed(texts: readonly (readonly number[])[]): Float32Array<ArrayBuffer>;
}

/**
 * The transformer of Universal Sentence Encoder Lite (Cer et al. 2018): two layers, mean of the rows, one tanh layer.
 * Weights and inputs are rounded to 16 bits for its products: vectors have a cosine of more than .9999 with those of
 * 32-bit floats, in a third of the time.
 */
export function createUseLiteNetwork(files: UseLiteFiles): UseLiteNetwork {
  const kernel = createMatrixKernel(MEMORY_BYTES);
  const network: Network = {
    kernel,
    pieces: files.weight('module/Embeddings_en'),
    positions: positionsOf(files.weight('TimingSignal/ExpandDims_1')),
    widen: denseOf(files, kernel, { name: 'Layer_0/TransformerLayer/dense', depth: PIECE_WIDTH, columns: WIDTH }),
    layers: [layerOf(files, kernel, 0), layerOf(files, kernel, 1)],
    last: lastLayerOf(files, kernel),
    attention: createSelfAttention(kernel, { rows: LONGEST_PIECES, headWidth: LONGEST_PIECES }),
    left: { codes: kernel.shorts(MOST_ROWS * INNER_WIDTH), factors: kernel.floats(MOST_ROWS + SPARE_ROWS) },
    input: kernel.floats((MOST_ROWS + SPARE_ROWS) * PIECE_WIDTH),
    stream: kernel.floats((MOST_ROWS + SPARE_ROWS) * WIDTH),
    added: kernel.floats((MOST_ROWS + SPARE_ROWS) * WIDTH),
    inner: kernel.floats((MOST_ROWS + SPARE_ROWS) * INNER_WIDTH),
  };
  return {
    embed(texts) {
      const vectors = new Float32Array(texts.length * USE_LITE_DIMENSIONS);
      for (const { first, part } of partsOf(texts.map((text) => text.slice(0, LONGEST_PIECES)))) {
        vectors.set(run(network, part), first * USE_LITE_DIMENSIONS);
      }
      return vectors;
    },
  };
}

interface Network {
  readonly kernel: MatrixKernel;
  readonly pieces: Float32Array;
  readonly positions: Float32Array;
  readonly widen: Dense;
  readonly layers: readonly [Layer, Layer];
  readonly last: Dense;
  readonly attention: SelfAttention;
  /** Whatever is multiplied next. */
  readonly left: LeftMatrix;
  readonly input: Float32Array;
  readonly stream: Float32Array;
  readonly added: Float32Array;
  readonly inner: Float32Array;
}

interface Dense {
  readonly right: RightMatrix;
  readonly depth: number;
  readonly columns: number;
}

interface Layer {
  readonly width: number;
  readonly norm: Norm;
  readonly queriesKeysValues: Dense;
  readonly output: Dense;
  readonly innerNorm: Norm;
  readonly expand: Dense;
  readonly contract: Dense;
}

/** A text's rows within a run. */
interface Extent {
  readonly firstRow: number;
  readonly rows: number;
}

const BIAS = 'bias/ConcatPartitions/concat';

function layerOf(files: UseLiteFiles, kernel: MatrixKernel, number: 0 | 1): Layer {
  const width = number === 0 ? PIECE_WIDTH : WIDTH;
  const start = `Layer_${number}/TransformerLayer`;
  const attention = `${start}/MultiheadAttention`;
  const dense = (name: string, shape: { readonly kernel: string; readonly depth: number; readonly columns: number }) =>
    denseOf(files, kernel, { name, ...shape });
  return {
    width,
    norm: normOf(files, kernel, start),
    queriesKeysValues: dense(`${attention}/qkv_transform_single`, {
      kernel: 'kernel/part_0',
      depth: width,
      columns: 3 * width,
    }),
    output: dense(`${attention}/output_transform_single`, { kernel: 'kernel/part_0', depth: width, columns: WIDTH }),
    innerNorm: normOf(files, kernel, `${start}/FFN`),
    expand: dense(`${start}/FFN/conv1`, { kernel: 'Tensordot/Reshape_1', depth: WIDTH, columns: INNER_WIDTH }),
    contract: dense(`${start}/FFN/conv2`, { kernel: 'Tensordot/Reshape_1', depth: INNER_WIDTH, columns: WIDTH }),
  };
}

function normOf(files: UseLiteFiles, kernel: MatrixKernel, start: string): Norm {
  const name = `${start}/layer_prepostprocess/layer_norm/layer_norm`;
  const placed = (nameEnd: string): Float32Array => {
    const weight = files.weight(`${name}_${nameEnd}`);
    const place = kernel.floats(weight.length);
    place.set(weight);
    return place;
  };
  return { scale: placed('scale/ConcatPartitions/concat'), bias: placed(BIAS) };
}

function denseOf(
  files: UseLiteFiles,
  kernel: MatrixKernel,
  {
    name,
    depth,
    columns,
    ...names
  }: { readonly name: string; readonly kernel?: string; readonly depth: number; readonly columns: number },
): Dense {
  const weights = files.weight(`${name}/${names.kernel ?? 'kernel/ConcatPartitions/concat'}`);
  return denseFrom(kernel, { weights, bias: files.weight(`${name}/${BIAS}`), depth, columns });
}

function lastLayerOf(files: UseLiteFiles, kernel: MatrixKernel): Dense {
  const name = 'hidden_layers/tanh_layer_0';
  const parts = { weights: files.weight(`${name}/weights`), bias: files.weight(`${name}/bias`) };
  return denseFrom(kernel, { ...parts, depth: WIDTH, columns: USE_LITE_DIMENSIONS });
}

function denseFrom(
  kernel: MatrixKernel,
  {
    weights,
    bias,
    depth,
    columns,
  }: {
    readonly weights: Float32Array;
    readonly bias: Float32Array;
    readonly depth: number;
    readonly columns: number;
  },
): Dense {
  const right = {
    codes: kernel.shorts(depth * columns),
    factors: kernel.floats(columns),
    bias: kernel.floats(columns),
  };
  right.bias.set(bias);
  quantiseMatrix(weights, right, { depth, columns });
  return { right, depth, columns };
}

/** Sines, then cosines, of the position by each of the model's frequencies. */
function positionsOf(frequencies: Float32Array): Float32Array {
  const half = frequencies.length;
  const positions = new Float32Array(LONGEST_PIECES * 2 * half);
  for (let position = 0; position < LONGEST_PIECES; position += 1) {
    for (let i = 0; i < half; i += 1) {
      const angle = position * (frequencies[i] as number);
      positions[position * 2 * half + i] = Math.sin(angle);
      positions[position * 2 * half + half + i] = Math.cos(angle);
    }
  }
  return positions;
}

/** As many texts at a time as there are rows for. */
function* partsOf(
  texts: readonly (readonly number[])[],
): Iterable<{ readonly first: number; readonly part: readonly (readonly number[])[] }> {
  let first = 0;
  let rows = 0;
  for (const [position, text] of texts.entries()) {
    if (rows + text.length > MOST_ROWS) {
      yield { first, part: texts.slice(first, position) };
      first = position;
      rows = 0;
    }
    rows += text.length;
  }
  if (first < texts.length) yield { first, part: texts.slice(first) };
}

function run(network: Network, texts: readonly (readonly number[])[]): Float32Array {
  const { input, stream } = network;
  const extents: Extent[] = [];
  let rows = 0;
  for (const text of texts) {
    extents.push({ firstRow: rows, rows: text.length });
    rows += text.length;
  }
  readPieces(network, texts.flat(), extents);
  multiply(network, { values: input, rows, dense: network.widen }, stream);
  const [first, second] = network.layers;
  applyLayer(network, first, { source: input, extents, rows });
  applyLayer(network, second, { source: stream, extents, rows });
  return toVectors(network, extents);
}

/** The model adds a piece's vector to itself with its position: so it was trained. */
function readPieces({ pieces, positions, input }: Network, text: readonly number[], extents: readonly Extent[]): void {
  for (const { firstRow, rows } of extents) {
    for (let position = 0; position < rows; position += 1) {
      const from = (text[firstRow + position] as number) * PIECE_WIDTH;
      const to = (firstRow + position) * PIECE_WIDTH;
      const turn = position * PIECE_WIDTH;
      for (let i = 0; i < PIECE_WIDTH; i += 1) {
        input[to + i] = 2 * (pieces[from + i] as number) + (positions[turn + i] as number);
      }
    }
  }
}

function applyLayer(
  network: Network,
  layer: Layer,
  {
    source,
    extents,
    rows,
  }: { readonly source: Float32Array; readonly extents: readonly Extent[]; readonly rows: number },
): void {
  const { kernel, attention, stream, added, inner } = network;
  const { width } = layer;
  kernel.normalise(source, layer.norm, { out: added, rows, width });
  multiply(network, { values: added, rows, dense: layer.queriesKeysValues }, inner);
  for (const extent of extents) attention.attend({ values: inner, ...extent, width, heads: HEADS }, added);
  multiply(network, { values: added, rows, dense: layer.output, adds: true }, stream);
  kernel.normalise(stream, layer.innerNorm, { out: added, rows, width: WIDTH });
  multiply(network, { values: added, rows, dense: layer.expand }, inner);
  multiply(network, { values: inner, rows, dense: layer.contract, adds: true, positive: true }, stream);
}

interface Multiplication {
  readonly values: Float32Array;
  readonly rows: number;
  readonly dense: Dense;
  readonly adds?: boolean;
  readonly positive?: boolean;
}

function multiply({ kernel, left }: Network, multiplication: Multiplication, out: Float32Array): void {
  const { values, rows, dense, adds = false, positive = false } = multiplication;
  const { depth, columns, right } = dense;
  kernel.quantise(values, left, { rows, width: depth, positive });
  kernel.multiply({ left, right }, out, { rows, depth, columns, outStride: columns, adds });
}

function addTo(sums: Float32Array, values: Float32Array, length: number): void {
  for (let i = 0; i < length; i += 1) sums[i] = (sums[i] as number) + (values[i] as number);
}

function toVectors(network: Network, extents: readonly Extent[]): Float32Array {
  const { stream, added, inner, last } = network;
  for (const [text, { firstRow, rows }] of extents.entries()) {
    const mean = added.subarray(text * WIDTH, (text + 1) * WIDTH).fill(0);
    for (let row = firstRow; row < firstRow + rows; row += 1) addTo(mean, stream.subarray(row * WIDTH), WIDTH);
    for (let i = 0; i < WIDTH; i += 1) mean[i] = (mean[i] as number) / rows;
  }
  multiply(network, { values: added, rows: extents.length, dense: last }, inner);
  const vectors = inner.slice(0, extents.length * USE_LITE_DIMENSIONS);
  for (let start = 0; start < vectors.length; start += USE_LITE_DIMENSIONS) toUnit(vectors, start);
  return vectors;
}

function toUnit(vectors: Float32Array, start: number): void {
  let squares = 0;
  for (let i = start; i < start + USE_LITE_DIMENSIONS; i += 1) {
    const value = Math.tanh(vectors[i] as number);
    vectors[i] = value;
    squares += value * value;
  }
  const factor = 1 / Math.sqrt(squares);
  for (let i = start; i < start + USE_LITE_DIMENSIONS; i += 1) vectors[i] = (vectors[i] as number) * factor;
}
