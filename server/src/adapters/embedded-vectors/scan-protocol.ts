import type { ErrorCode } from '../../kernel/index.ts';
import type { ScoredChunk } from '../../vector-store/index.ts';

/** Rows of one namespace in few buffers, so that crossing the thread border costs a move instead of a copy a row. */
export interface PackedRows {
  readonly dimensions: number;
  readonly chunks: readonly { readonly chunkId: string; readonly documentId: string; readonly sourceId: string }[];
  /** Row -> position in `chunks`. */
  readonly chunkOf: Uint32Array;
  /** Row -> window number within its chunk. */
  readonly windowOf: Uint32Array;
  /** Rows one after another, `dimensions` numbers each. */
  readonly vectors: Float32Array;
}

/** What the main thread asks of the scan worker. Messages are handled strictly in the order they were sent. */
export type ScanRequest =
  | { readonly type: 'begin-load'; readonly key: string; readonly loadId: number }
  | { readonly type: 'load-rows'; readonly key: string; readonly loadId: number; readonly rows: PackedRows }
  | { readonly type: 'end-load'; readonly key: string; readonly loadId: number }
  | { readonly type: 'abandon-load'; readonly key: string; readonly loadId: number }
  | { readonly type: 'upsert'; readonly key: string; readonly rows: PackedRows }
  | { readonly type: 'delete-documents'; readonly key: string; readonly documentIds: readonly string[] }
  | { readonly type: 'drop'; readonly key: string }
  | {
      readonly type: 'search';
      readonly key: string;
      readonly vector: Float32Array;
      readonly limit: number;
      readonly sourceIds: readonly string[] | null;
    }
  | {
      readonly type: 'score';
      readonly key: string;
      readonly vector: Float32Array;
      readonly chunkIds: readonly string[];
    };

/** `missing`: the namespace is not in memory and must be loaded first. */
export type ScanOutcome =
  | { readonly type: 'done' }
  | { readonly type: 'missing' }
  | { readonly type: 'chunks'; readonly chunks: readonly ScoredChunk[] }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string; readonly stack: string | undefined };

export interface ScanCall {
  readonly id: number;
  readonly request: ScanRequest;
}

/** What the worker says: the outcome of a call, or that a namespace had to leave memory. */
export type ScanMessage =
  | { readonly type: 'outcome'; readonly id: number; readonly outcome: ScanOutcome }
  | { readonly type: 'evicted'; readonly key: string; readonly bytes: number };
