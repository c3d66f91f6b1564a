import type { Clock, Lifecycle, Logger } from '../kernel/index.ts';
import type { BlobStore, Store } from '../store/index.ts';
import type { BotIndexes, Trainer, UnfinishedImports } from '../training/index.ts';
import type { VectorStore } from '../vector-store/index.ts';

const HOUR_MS = 3_600_000;
/** How long the answer of an idempotent request can be asked for again. */
const IDEMPOTENCY_KEPT_MS = 24 * HOUR_MS;
/** How long a sync run that is over can be looked at. */
const SYNC_RUNS_KEPT_MS = 7 * 24 * HOUR_MS;
/** Blobs younger than this may belong to an upload that is still under way. */
const BLOB_GRACE_MS = HOUR_MS;
const DAY_MS = 24 * HOUR_MS;
/** How long ended jobs can be looked at. The last job of a source stays as long as the source. */
const JOBS_KEPT_MS = { succeeded: 7 * DAY_MS, failed: 30 * DAY_MS };
/** How long what a failed job has made waits for another try. */
const UNFINISHED_KEPT_MS = 7 * DAY_MS;
/** How long ended leases stay: longer than clocks differ. */
const LEASES_KEPT_MS = HOUR_MS;
const BATCH = 500;

/** After a deletion others mostly follow at once. */
const SOON_MS = 10_000;

export interface Housekeeping extends Lifecycle {
  /** Clears away within seconds, once however often this is called: content was deleted. */
  clearSoon(): void;
}

/**
 * Clears away, at the start and every hour, what nobody needs any more: old idempotency records, blobs of no source, ended
 * jobs, what failed jobs have left, and leases and lives of processes that are long dead.
 */
export function createHousekeeping(parts: {
  readonly store: Pick<Store, 'system' | 'forTenant'>;
  readonly blobs: Pick<BlobStore, 'sweep'>;
  readonly vectors: Pick<VectorStore, 'deleteDocuments'>;
  readonly indexes: Pick<BotIndexes, 'keys'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): Housekeeping {
  const { store, blobs, clock, logger } = parts;
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let soon: Promise<void> | null = null;
  let early: Promise<unknown> = Promise.resolve();
  let purgedAt = 0;

  async function clear(): Promise<void> {
    try {
      const now = clock.now();
      await store.system.leases.removeExpired(now - LEASES_KEPT_MS);
      const records = await store.system.purgeIdempotency(now - IDEMPOTENCY_KEPT_MS);
      const runs = await store.system.purgeSyncRuns(now - SYNC_RUNS_KEPT_MS);
      await store.system.purgeLexicalIndexes(purgedAt);
      purgedAt = now;
      const files = await blobs.sweep(await store.system.blobHashesInUse(), now - BLOB_GRACE_MS);
      const jobs = await removeEndedJobs(now);
      const documents = await removeUnfinished(now);
      if (records + runs + files + jobs + documents > 0)
        logger.info({ records, runs, files, jobs, documents }, 'cleared away what nobody needs');
    } catch (error) {
      logger.warn({ error }, 'could not clear away what nobody needs; will try again');
    }
  }

  async function removeEndedJobs(now: number): Promise<number> {
    const before = { succeeded: now - JOBS_KEPT_MS.succeeded, failed: now - JOBS_KEPT_MS.failed };
    let removed = 0;
    for (let last = BATCH; last >= BATCH && !stopping.signal.aborted; removed += last) {
      last = await store.system.jobs.removeEnded(before, BATCH);
    }
    return removed;
  }

  async function removeUnfinished(now: number): Promise<number> {
    let removed = 0;
    for (const { tenantId, botId, documentIds } of await store.system.findUnfinished(now - UNFINISHED_KEPT_MS)) {
      await store.forTenant(tenantId).documents.delete(documentIds);
      for (const generation of await parts.indexes.keys({ tenantId, botId })) {
        await parts.vectors.deleteDocuments({ tenantId, botId, generation }, documentIds);
      }
      removed += documentIds.length;
    }
    return removed;
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clear();
      await clock.sleep(HOUR_MS, stopping.signal).catch(() => {});
    }
  }

  async function clearLater(): Promise<void> {
    const rested = await clock.sleep(SOON_MS, stopping.signal).then(
      () => true,
      () => false,
    );
    soon = null;
    if (rested) await clear();
  }

  return {
    name: 'housekeeping',
    clearSoon() {
      if (stopping.signal.aborted || soon !== null) return;
      soon = clearLater();
      early = Promise.all([early, soon]);
    },
    async start() {
      running = run();
    },
    async stop() {
      stopping.abort();
      await Promise.all([running, early]);
    },
  };
}

const IMPORTS_EVERY_MS = 30_000;

/** Removes bots whose import a dead process has left half done: at the start, and of processes that die later soon after. */
export function createImportRemoval(parts: {
  readonly store: Pick<Store, 'forTenant'>;
  readonly trainer: Pick<Trainer, 'removeBot'>;
  readonly unfinished: UnfinishedImports;
  readonly clock: Clock;
  readonly logger: Logger;
}): Lifecycle {
  const { store, clock, logger } = parts;
  const stopping = new AbortController();
  let rounds: Promise<void> = Promise.resolve();

  async function remove(): Promise<void> {
    for (const marked of await parts.unfinished.list(clock.now())) {
      const bot = await store.forTenant(marked.tenantId).bots.get(marked.id);
      if (bot !== null) await parts.trainer.removeBot(bot);
      await parts.unfinished.end(marked);
      logger.warn({ bot: marked.id }, 'removed a bot whose import was cut off; import it again');
    }
  }

  async function repeat(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(IMPORTS_EVERY_MS, stopping.signal).catch(() => {});
      if (stopping.signal.aborted) return;
      await remove().catch((error: unknown) =>
        logger.warn({ error }, 'Imports that were cut off could not be removed; will try again'),
      );
    }
  }

  return {
    name: 'unfinished imports',
    async start() {
      await remove();
      rounds = repeat();
    },
    async stop() {
      stopping.abort();
      await rounds;
    },
  };
}
