import type { Clock, Lifecycle, Logger } from '../../kernel/index.ts';
import type { Source, Store, TenantRepositories } from '../../store/index.ts';

export interface SyncScheduleOptions {
  readonly store: Pick<Store, 'forTenant' | 'system'>;
  /** Queues the source again in the transaction that is open, and returns it. */
  readonly trainAgain: (repositories: TenantRepositories, source: Source) => Promise<Source>;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 (inclusive) to 1 (exclusive), for jitter. */
  readonly random: () => number;
  /** How often due sources are looked for, in milliseconds; default 15,000. */
  readonly everyMs?: number;
}

const BATCH = 100;
/** Sources that were made together do not all stay due together. */
const JITTER_SHARE = 0.1;

/** Queues web sources whose time has come. The times are in the store: what came due while the server was down is queued at its start. */
export function createSyncSchedule(options: SyncScheduleOptions): Lifecycle & { runDue(): Promise<number> } {
  const { store, clock, logger } = options;
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  async function queue(due: { readonly tenantId: string; readonly botId: string; readonly sourceId: string }) {
    return store.forTenant(due.tenantId).transaction(async (repositories) => {
      const source = await repositories.sources.get(due.botId, due.sourceId);
      const now = clock.now();
      const { web } = source ?? {};
      if (!source || !web || web.syncIntervalMs === null || web.nextSyncAt === null || web.nextSyncAt > now)
        return null;
      const nextSyncAt = now + Math.round(web.syncIntervalMs * (1 + options.random() * JITTER_SHARE));
      await repositories.sources.update(source.id, { web: { ...web, nextSyncAt }, updatedAt: source.updatedAt });
      const job = source.jobId === null ? null : await repositories.jobs.get(source.jobId);
      // Still at work on it: that is as good as a new one.
      if (job?.state === 'queued' || job?.state === 'running') return null;
      return options.trainAgain(repositories, { ...source, web: { ...web, nextSyncAt } });
    });
  }

  async function runDue(): Promise<number> {
    let queued = 0;
    for (let found = BATCH; found === BATCH && !stopping.signal.aborted; ) {
      const due = await store.system.findDueSyncs(clock.now(), BATCH);
      let failed = 0;
      for (const one of due) {
        try {
          const source = await queue(one);
          if (source === null || source.jobId === null) continue;
          queued += 1;
          await options.announce(source.jobId);
        } catch (error) {
          // It stays due; the sources behind it need not wait for it.
          failed += 1;
          logger.warn({ source: one.sourceId, error }, 'A web source that is due could not be queued');
        }
      }
      found = due.length - failed;
    }
    if (queued > 0) logger.info({ sources: queued }, 'Web sources are due and fetched again');
    return queued;
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await runDue().catch((error: unknown) => logger.warn({ error }, 'Could not queue the web sources that are due'));
      await clock.sleep(options.everyMs ?? 15_000, stopping.signal).catch(() => {});
    }
  }

  return {
    name: 'sync schedule',
    runDue,
    async start() {
      running = run();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
