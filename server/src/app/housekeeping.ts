import type { Clock, Lifecycle, Logger } from '../kernel/index.ts';
import type { BlobStore, Store } from '../store/index.ts';
import type { Trainer, UnfinishedImports } from '../training/index.ts';

const HOUR_MS = 3_600_000;
/** How long the answer of an idempotent request can be asked for again. */
const IDEMPOTENCY_KEPT_MS = 24 * HOUR_MS;
/** How long a sync run that is over can be looked at. */
const SYNC_RUNS_KEPT_MS = 7 * 24 * HOUR_MS;
/** Blobs younger than this may belong to an upload that is still under way. */
const BLOB_GRACE_MS = HOUR_MS;

/** Clears away, at the start and every hour, what nobody needs any more: old idempotency records and blobs of no source. */
export function createHousekeeping(parts: {
  readonly store: Pick<Store, 'system'>;
  readonly blobs: Pick<BlobStore, 'sweep'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): Lifecycle {
  const { store, blobs, clock, logger } = parts;
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  async function clear(): Promise<void> {
    try {
      const now = clock.now();
      const records = await store.system.purgeIdempotency(now - IDEMPOTENCY_KEPT_MS);
      const runs = await store.system.purgeSyncRuns(now - SYNC_RUNS_KEPT_MS);
      const files = await blobs.sweep(await store.system.blobHashesInUse(), now - BLOB_GRACE_MS);
      if (records + runs + files > 0) logger.info({ records, runs, files }, 'cleared away what nobody needs');
    } catch (error) {
      logger.warn({ error }, 'could not clear away what nobody needs; will try again');
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clear();
      await clock.sleep(HOUR_MS, stopping.signal).catch(() => {});
    }
  }

  return {
    name: 'housekeeping',
    async start() {
      running = run();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Removes bots whose import a dead process has left half done. */
export async function removeUnfinishedImports(parts: {
  readonly store: Pick<Store, 'forTenant'>;
  readonly trainer: Pick<Trainer, 'removeBot'>;
  readonly unfinished: UnfinishedImports;
  readonly logger: Logger;
}): Promise<void> {
  for (const { id, tenantId } of await parts.unfinished.list()) {
    const bot = await parts.store.forTenant(tenantId).bots.get(id);
    if (bot !== null) await parts.trainer.removeBot(bot);
    await parts.unfinished.end({ id });
    parts.logger.warn({ bot: id }, 'removed a bot whose import was cut off; import it again');
  }
}
