import { type EmbeddingGenerator, windowsOf } from '../../embeddings/index.ts';
import type { ChunkRepository, ChunkVectors, EmbeddableChunk } from '../../store/index.ts';
import type { VectorRecord } from '../../vector-store/index.ts';

/** Chunks whose vectors are written together: as many as the embedder takes at once, within reason. */
const SMALLEST_BATCH = 32;
const LARGEST_BATCH = 256;
/** Chunks have many windows, and what is done with these on the way to a local embedder holds the event loop up. */
const LARGEST_LOCAL_BATCH = 64;

export type ChunkEmbeddings = Pick<EmbeddingGenerator, 'profile' | 'generation' | 'embed'>;

export function batchSizeFor({ profile }: Pick<ChunkEmbeddings, 'profile'>): number {
  const largest = profile.local ? LARGEST_LOCAL_BATCH : LARGEST_BATCH;
  return Math.min(largest, Math.max(SMALLEST_BATCH, profile.maxTextsPerCall));
}

/** Vectors of the chunks: those of equal chunks that were embedded earlier (`reused` of them), else new ones. */
export async function vectorsOf(
  batch: readonly EmbeddableChunk[],
  {
    chunks,
    embeddings,
    signal,
  }: {
    readonly chunks: Pick<ChunkRepository, 'findVectors'>;
    readonly embeddings: ChunkEmbeddings;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly rows: readonly ChunkVectors[]; readonly reused: number }> {
  const hashes = batch.map((chunk) => chunk.hash);
  const known = await chunks.findVectors(embeddings.generation, hashes);
  const embedded = await embedChunks(
    batch.filter(({ hash }) => !known.has(hash)),
    embeddings,
    signal,
  );
  return {
    rows: batch.map(({ id, hash }) => ({ chunkId: id, windows: known.get(hash) ?? embedded.get(hash) ?? [] })),
    reused: hashes.filter((hash) => known.has(hash)).length,
  };
}

/** The batch as the vector index takes it. */
export function recordsOf(batch: readonly EmbeddableChunk[], rows: readonly ChunkVectors[]): readonly VectorRecord[] {
  return batch.flatMap(({ id, documentId, sourceId }, position) =>
    (rows[position]?.windows ?? []).map((vector, window) => ({ chunkId: id, documentId, sourceId, window, vector })),
  );
}

/** Vectors by hash, those of a chunk's windows together. Equal chunks are embedded once. */
async function embedChunks(
  chunks: readonly EmbeddableChunk[],
  embeddings: ChunkEmbeddings,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Float32Array[]>> {
  const texts: string[] = [];
  const ranges = new Map<string, { readonly start: number; readonly end: number }>();
  for (const chunk of chunks) {
    if (ranges.has(chunk.hash)) continue;
    const start = texts.length;
    texts.push(...windowsOf({ ...chunk, title: chunk.documentTitle }, embeddings.profile.window));
    ranges.set(chunk.hash, { start, end: texts.length });
  }
  if (texts.length === 0) return new Map();
  const { vectors } = await embeddings.embed(texts, { purpose: 'document', signal, background: true });
  return new Map([...ranges].map(([hash, { start, end }]) => [hash, vectors.slice(start, end)]));
}
