import { AppError } from '../../kernel/index.ts';
import type { VectorRecord } from '../../vector-store/index.ts';
import type { PackedRows } from './scan-protocol.ts';

/** Packs records into fresh buffers. Throws `embedding_dimension_mismatch` when their vectors differ in length. */
export function packRows(records: readonly VectorRecord[]): PackedRows {
  const dimensions = records[0]?.vector.length ?? 0;
  const vectors = new Float32Array(records.length * dimensions);
  const windowOf = new Uint32Array(records.length);
  const chunkOf = new Uint32Array(records.length);
  const positions = new Map<string, number>();
  const chunks: { chunkId: string; documentId: string; sourceId: string }[] = [];
  records.forEach(({ chunkId, documentId, sourceId, window, vector }, row) => {
    if (vector.length !== dimensions) {
      throw new AppError('embedding_dimension_mismatch', 'The vectors of one namespace must have the same dimensions.');
    }
    const position = positions.get(chunkId) ?? chunks.length;
    if (position === chunks.length) {
      positions.set(chunkId, position);
      chunks.push({ chunkId, documentId, sourceId });
    }
    chunkOf[row] = position;
    windowOf[row] = window;
    vectors.set(vector, row * dimensions);
  });
  return { dimensions, chunks, chunkOf, windowOf, vectors };
}

/** The records again; their vectors are views into the packed buffer. */
export function* unpackRows({ dimensions, chunks, chunkOf, windowOf, vectors }: PackedRows): Generator<VectorRecord> {
  for (const [row, position] of chunkOf.entries()) {
    const chunk = chunks[position];
    if (chunk === undefined) continue;
    const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions);
    yield { ...chunk, window: windowOf[row] ?? 0, vector };
  }
}
