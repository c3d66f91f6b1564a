import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dot } from '../../embeddings/index.ts';
import { AppError } from '../../kernel/index.ts';

const MAGIC = 0x54575343;
const FORMAT_VERSION = 1;
const HEADER_BYTES = 24;

/** Word vectors of one space, and the way of a teacher's vector into it. */
export interface WordTable {
  readonly dimensions: number;
  readonly teacherDimensions: number;
  readonly words: number;
  /** Start of the table's SHA-256: another table is another space. */
  readonly fingerprint: string;
  has(word: string): boolean;
  /** Adds the frequency-weighted vector of a word to `sum`; false when the table has no such word. */
  addTo(sum: Float64Array, word: string): boolean;
  /** Maps a teacher's vector of a word into the table's space. */
  project(teacherVector: Float32Array): Float32Array;
}

interface Manifest {
  readonly file: string;
  readonly sha256: string;
}

/**
 * Reads the table that scripts/distill-static-embedder.mjs made and checks it against its manifest. Rejects with
 * `configuration_invalid` when the file is missing, cut short or altered.
 */
export async function loadWordTable(manifestUrl: URL): Promise<WordTable> {
  try {
    const manifest: Manifest = JSON.parse(await readFile(manifestUrl, 'utf8'));
    const bytes = await readFile(new URL(manifest.file, manifestUrl));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== manifest.sha256) throw new Error('checksum differs from the manifest');
    return openTable(bytes, sha256.slice(0, 8));
  } catch (cause) {
    throw new AppError(
      'configuration_invalid',
      'The word table of the local embedder is missing or damaged. Install the server again.',
      { cause },
    );
  }
}

function openTable(bytes: Buffer, fingerprint: string): WordTable {
  // A file this large has its own buffer, but a copy keeps the typed views aligned should that ever change.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Buffer.from(Uint8Array.from(bytes).buffer);
  const { dimensions, teacherDimensions, names, mean, projection, factors, rows } = sectionsOf(aligned);
  const rowOf = new Map(names.map((name, row) => [name, row]));
  return {
    dimensions,
    teacherDimensions,
    words: names.length,
    fingerprint,
    has: (word) => rowOf.has(word),
    addTo(sum, word) {
      const row = rowOf.get(word);
      if (row === undefined) return false;
      addScaled({ sum, rows, start: row * dimensions, factor: factors[row] ?? 0 });
      return true;
    },
    project(teacherVector) {
      const centred = mean.map((value, k) => (teacherVector[k] ?? 0) - value);
      return Float32Array.from({ length: dimensions }, (_, d) =>
        dot(centred, projection.subarray(d * teacherDimensions, (d + 1) * teacherDimensions)),
      );
    },
  };
}

interface ScaledRow {
  readonly sum: Float64Array;
  readonly rows: Int8Array;
  readonly start: number;
  readonly factor: number;
}

/** Four components a turn: twice as fast as one, and this is where embedding spends its time. */
function addScaled({ sum, rows, start, factor }: ScaledRow): void {
  for (let d = 0; d < sum.length; d += 4) {
    const from = start + d;
    sum[d] = (sum[d] as number) + factor * (rows[from] as number);
    sum[d + 1] = (sum[d + 1] as number) + factor * (rows[from + 1] as number);
    sum[d + 2] = (sum[d + 2] as number) + factor * (rows[from + 2] as number);
    sum[d + 3] = (sum[d + 3] as number) + factor * (rows[from + 3] as number);
  }
}

/** The layout is written by `encodeTable` of the script. */
function sectionsOf(bytes: Buffer) {
  const [magic, version, words = 0, dimensions = 0, teacherDimensions = 0, nameBytes = 0] = new Uint32Array(
    bytes.buffer,
    bytes.byteOffset,
    HEADER_BYTES / 4,
  );
  const isTable = magic === MAGIC && version === FORMAT_VERSION && dimensions % 4 === 0;
  if (!isTable) throw new Error('not a word table of this version');
  let position = HEADER_BYTES;
  const names = bytes.toString('utf8', position, position + nameBytes).split('\n');
  position += Math.ceil(nameBytes / 4) * 4;
  const nextFloats = (length: number): Float32Array => {
    const section = new Float32Array(bytes.buffer, bytes.byteOffset + position, length);
    position += section.byteLength;
    return section;
  };
  const mean = nextFloats(teacherDimensions);
  const projection = nextFloats(dimensions * teacherDimensions);
  const factors = nextFloats(words);
  const rows = new Int8Array(bytes.buffer, bytes.byteOffset + position, words * dimensions);
  return { dimensions, teacherDimensions, names, mean, projection, factors, rows };
}
