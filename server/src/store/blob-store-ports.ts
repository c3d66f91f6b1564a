import type { Readable } from 'node:stream';

/** Bytes by content hash. `put` is durable (synced) when it resolves; the same bytes are stored once. */
export interface BlobStore {
  put(content: Readable, options: { readonly maxBytes: number; readonly signal?: AbortSignal }): Promise<BlobReference>;
  /** Rejects with `internal_error` when the blob is gone. */
  read(hash: string, signal?: AbortSignal): Promise<Buffer>;
  /**
   * A path of this machine where a worker thread can read the blob by itself, for hours. Whether it is there shows when it
   * is read. Rejects with `internal_error` for what is no hash.
   */
  localPath(hash: string, signal?: AbortSignal): Promise<string>;
  /** Removes blobs not in the set and older than `olderThan` (milliseconds since 1970). Returns how many. */
  sweep(inUse: ReadonlySet<string>, olderThan: number): Promise<number>;
}

export interface BlobReference {
  readonly hash: string;
  readonly bytes: number;
}
