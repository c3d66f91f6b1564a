import { createHash } from 'node:crypto';
import type { StageContext } from '../../jobs/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { Document, Generation, NewChunk, TenantStore } from '../../store/index.ts';
import type { DocumentParser } from '../ports.ts';

/** Cuts the text of a stored document, off the event loop. The same text and strategy give the same chunks. */
export type Rechunk = DocumentParser['cut'];

export interface CuttingOptions {
  readonly tenant: TenantStore;
  readonly botId: string;
  /** Absent: all searchable documents of the bot. */
  readonly sourceId?: string;
  readonly generation: Pick<Generation, 'chunkSet' | 'chunking'>;
  readonly rechunk: Rechunk;
}

/** Documents looked up at once; their texts are held together. */
const BATCH = 4;

/**
 * Cuts the documents that are not cut as the generation wants yet, one a transaction; those of a source that says itself
 * how to cut it, so. True when none is left, false when others wait. Run again, it goes on with those that are left.
 */
export async function cutDocuments(options: CuttingOptions, context: StageContext): Promise<boolean> {
  const { tenant, botId, sourceId, generation } = options;
  const of = { botId, chunkSet: generation.chunkSet, ...(sourceId === undefined ? {} : { sourceId }) };
  for (let last: string | undefined; ; ) {
    const ids = await tenant.documents.withoutChunkSet(of, BATCH);
    if (ids.length === 0) return true;
    if (ids[0] === last) throw new AppError('internal_error', 'Chunks that were stored are not found again.');
    last = ids[0];
    for (const document of await tenant.documents.getMany(ids)) {
      await cutDocument(document, options, context);
      if (context.sliceOver()) return false;
    }
  }
}

async function cutDocument(
  document: Document,
  { tenant, botId, generation: { chunkSet, chunking }, rechunk }: CuttingOptions,
  { lease, signal }: StageContext,
): Promise<void> {
  signal.throwIfAborted();
  const source = await tenant.sources.get(botId, document.sourceId);
  const parsed = await rechunk({ ...document, chunking: source?.chunking ?? chunking }, signal);
  const chunks = parsed.map((chunk): NewChunk => ({ ...chunk, id: chunkIdOf(document.id, chunkSet, chunk.position) }));
  await tenant.fencedTransaction(lease, ({ documents }) => documents.addChunkSet(document.id, chunkSet, chunks));
}

const TIME_LENGTH = 10;

/** As those that loading gives, but of this chunk set; made again, it is the same. */
function chunkIdOf(documentId: string, chunkSet: string, position: number): string {
  const time = documentId.slice('doc_'.length, 'doc_'.length + TIME_LENGTH);
  const digest = createHash('sha256').update(`${documentId}#${chunkSet}:${position}`).digest('hex');
  return `chk_${time}${digest.slice(0, 16)}`;
}
