import { Buffer } from 'node:buffer';
import type { PineconeRecord } from '@pinecone-database/pinecone';
import { AppError } from '../../kernel/index.ts';

export const MOST_RECORDS = 1000;
/** Of the 2 MB that a request may have, less what stands around the records. */
const MOST_BYTES = 2 * 1024 ** 2 - 16 * 1024;
const MOST_METADATA_BYTES = 40 * 1024;

/** What the index keeps of a vector beside its numbers: enough to filter by. Texts stay in the database. */
export type RecordMetadata = { readonly source_id: string };

/** The records in requests of at most 1000 records and 2 MB. Throws `content_too_large` for one that fits in none. */
export function upsertBatches(
  records: readonly PineconeRecord<RecordMetadata>[],
): readonly (readonly PineconeRecord<RecordMetadata>[])[] {
  const batches: PineconeRecord<RecordMetadata>[][] = [];
  let bytes = 0;
  for (const record of records) {
    const size = sizeOf(record);
    const current = batches.at(-1);
    if (current === undefined || current.length >= MOST_RECORDS || bytes + size > MOST_BYTES) {
      batches.push([record]);
      bytes = size;
    } else {
      current.push(record);
      bytes += size;
    }
  }
  return batches;
}

function sizeOf(record: PineconeRecord<RecordMetadata>): number {
  const metadata = Buffer.byteLength(JSON.stringify(record.metadata ?? {}));
  const size = Buffer.byteLength(JSON.stringify(record)) + 1;
  if (metadata > MOST_METADATA_BYTES || size > MOST_BYTES) {
    throw new AppError('content_too_large', 'A vector and what describes it are larger than Pinecone takes.');
  }
  return size;
}

/** Seven digits: what a 32-bit float holds. Shorter on the wire, and far below what changes an order. */
export function numbersOf(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Number(value.toPrecision(7)));
}
