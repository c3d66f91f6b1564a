import { join } from 'node:path';
import { createFileBlobStore } from '../adapters/file-system/index.ts';
import type { Clock, Lifecycle, Logger } from '../kernel/index.ts';
import type { BlobStore } from '../store/index.ts';
import type { Config } from './config.ts';
import type { Database } from './open-database.ts';

const HOUR_MS = 3_600_000;
/** Copies of blobs on this machine's disk that nobody has read for so long are removed. */
const COPIES_KEPT_MS = 24 * HOUR_MS;

export interface ComposedBlobs {
  readonly blobs: BlobStore;
  /** To be started before whoever takes in or reads. */
  readonly lifecycle: Lifecycle;
}

/** Where uploaded files are: in a folder of one machine, or in the database that all processes share. */
export function composeBlobs({
  config,
  database,
  clock,
  logger,
}: {
  readonly config: Pick<Config, 'dataFolder' | 'blobStore'>;
  readonly database: Pick<Database, 'openBlobStore'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): ComposedBlobs {
  if (config.blobStore === 'folder' || database.openBlobStore === null) {
    const blobs = createFileBlobStore({ folder: join(config.dataFolder, 'blobs') });
    return { blobs, lifecycle: { name: 'blobs', start: async () => {}, stop: async () => {} } };
  }
  const blobs = database.openBlobStore(createFileBlobStore({ folder: join(config.dataFolder, 'blob-copies') }));
  const stopping = new AbortController();
  let rounds: Promise<void> = Promise.resolve();

  async function repeat(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(HOUR_MS, stopping.signal).catch(() => {});
      if (stopping.signal.aborted) return;
      await blobs
        .forgetCopies(COPIES_KEPT_MS)
        .catch((error: unknown) => logger.warn({ error }, 'Copies of files could not be removed; will try again'));
    }
  }

  return {
    blobs,
    lifecycle: {
      name: 'blobs',
      async start() {
        await blobs.start();
        rounds = repeat();
      },
      async stop() {
        stopping.abort();
        await rounds;
      },
    },
  };
}
