import type { JsonObject } from '../kernel/index.ts';
import type { Document } from './entities.ts';

/** What was taken away, counted before it went. */
export interface RemovalReceipt {
  readonly sources: number;
  readonly documents: number;
  readonly chunks: number;
  /** Vectors of all windows, in every vector space. */
  readonly vectors: number;
  /** Uploaded files and texts that the sources were made from. */
  readonly files: number;
}

export interface RemovedContent {
  readonly documentIds: readonly string[];
  readonly receipt: RemovalReceipt;
}

/** One comparison of a client's files with what the bot has. */
export interface SyncRun {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  /** An open run whose `expiresAt` has passed is over, too. */
  readonly status: 'open' | 'committed' | 'cancelled';
  /** Whether sources that the manifest does not name are to be deleted. */
  readonly prune: boolean;
  /** Keys outside of it are left alone. */
  readonly prefix: string;
  /** Entries of the manifest that ask for nothing. */
  readonly unchanged: number;
  /** What its commit has deleted so far. */
  readonly receipt: RemovalReceipt;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly endedAt: number | null;
}

/** `asked`: still to be done. `kept`: not deleted, because something was put under its key meanwhile. */
export type SyncItemState = 'asked' | 'done' | 'refused' | 'skipped' | 'kept';

/** One thing that a run asks for. `relabel`: the file is the same, its metadata is not. */
export interface SyncItem {
  /** Orders the items of a run. */
  readonly position: number;
  readonly action: 'upload' | 'relabel' | 'delete';
  readonly state: SyncItemState;
  readonly externalKey: string;
  /** The source at the time of the plan; null for an upload. */
  readonly sourceId: string | null;
  /** What the manifest says; null: nothing. */
  readonly metadata: JsonObject | null;
}

/** What tells whether a document says the same as another. */
export interface Fingerprint extends Pick<Document, 'id' | 'sourceId' | 'title' | 'url' | 'contentHash'> {
  readonly position: number;
  readonly externalKey: string | null;
  readonly signature: Uint8Array | null;
}
