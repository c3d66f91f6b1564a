import type { Schema } from '../schema.ts';

/** A table as rows are taken out of one database and put into another. */
export interface TransferTable {
  readonly name: string;
  /** The columns that tell rows apart and that they are read in the order of. */
  readonly key: readonly string[];
  /** In alphabetical order, so that a row is spelled the same whatever engine it comes from. */
  readonly columns: readonly string[];
}

/** What databases store. Whole numbers may come as either kind of number. */
export type TransferValue = string | number | bigint | Uint8Array | null;

/** In the order of the table's columns. */
export type TransferRow = readonly TransferValue[];

/** The keys of all tables, parents before their children; null: rows of running processes, which mean nothing elsewhere. */
const KEYS: Readonly<Record<keyof Schema, readonly string[] | null>> = {
  settings: ['name'],
  tenants: ['number'],
  bots: ['number'],
  sources: ['number'],
  source_pages: ['number'],
  documents: ['number'],
  document_signatures: ['tenant_id', 'document_id'],
  chunks: ['number'],
  chunk_vectors: ['chunk_number', 'generation'],
  index_generations: ['number'],
  golden_questions: ['number'],
  prompt_versions: ['number'],
  jobs: ['number'],
  job_queues: ['tenant_id', 'queue'],
  conversations: ['number'],
  messages: ['number'],
  api_keys: ['number'],
  usage: ['number'],
  usage_prices: ['id'],
  idempotency: ['tenant_id', 'key'],
  sync_runs: ['number'],
  sync_items: ['number'],
  word_vectors: ['model', 'word'],
  leases: ['name'],
  workers: null,
};

/** The tables whose rows are moved, in the order in which they can be put into an empty database. */
export const TRANSFER_KEYS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(KEYS).flatMap(([name, key]) => (key === null ? [] : [[name, key] as const])),
);
