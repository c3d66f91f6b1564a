import { join } from 'node:path';
import type { FileBlobStore } from '../adapters/file-system/index.ts';
import { createPostgresBlobStore, openPostgres, type PostgresBlobStore } from '../adapters/postgres/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import type { WordVectorCache } from '../embeddings/index.ts';
import type { Clock, Logger } from '../kernel/index.ts';
import type { MessageBus } from '../resilience/index.ts';
import type { Store } from '../store/index.ts';
import type { LexicalIndex, VectorStore } from '../vector-store/index.ts';
import type { Config } from './config.ts';

/** The database of either engine, with what is kept in it. */
export interface Database {
  /** Starting and stopping it starts and stops everything here. A stopped store is not started again. */
  readonly store: Store;
  readonly lexicalIndex: LexicalIndex;
  readonly wordVectorCache: WordVectorCache;
  /** Vectors in the database itself; null: they are kept in memory. */
  readonly openVectorStore: (() => VectorStore) | null;
  /** What processes that share the database tell each other through it; null: it belongs to one process. */
  readonly bus: MessageBus | null;
  /** Uploaded files in the database, with copies on this machine; null: they are kept in a folder. */
  readonly openBlobStore: ((copies: FileBlobStore) => PostgresBlobStore) | null;
}

/** The database that the configuration names. Nothing is opened before its store is started. */
export function openDatabase({
  config,
  clock,
  logger,
}: {
  readonly config: Pick<Config, 'database' | 'dataFolder'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): Database {
  if (config.database !== null) {
    const postgres = openPostgres({ ...config.database, clock, logger });
    const { databases } = postgres;
    return {
      ...postgres,
      openBlobStore: (local) => createPostgresBlobStore({ databases, local, now: clock.now }),
    };
  }
  return {
    ...openSqlite({ file: join(config.dataFolder, 'chatsphere.db'), clock, logger }),
    bus: null,
    openVectorStore: null,
    openBlobStore: null,
  };
}
