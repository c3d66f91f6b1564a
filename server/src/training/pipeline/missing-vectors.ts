import type { Clock, IdMaker } from '../../kernel/index.ts';
import type { Source, Store, TenantStore } from '../../store/index.ts';
import { newTrainingJob } from './training-job.ts';

export interface MissingVectorsOptions {
  readonly store: Pick<Store, 'forTenant' | 'tenants'>;
  /** The embedder's vector space. */
  readonly generation: string;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly jobDeadlineMs?: number;
  readonly maxAttempts?: number;
}

const TENANTS_A_PAGE = 100;
const SOURCES_A_TENANT = 10_000;
const DEFAULT_DEADLINE_MS = 24 * 60 * 60 * 1_000;

/**
 * Queues an embedding job for each source that has searchable chunks without vectors in the generation, as after a
 * change of the embedder. The sources keep answering by words meanwhile. To be called at start; returns the number of
 * jobs made. Sources that a job works on already are left to it.
 */
export async function embedMissingVectors(options: MissingVectorsOptions): Promise<number> {
  const { store, generation } = options;
  let jobs = 0;
  for (let after: string | undefined, more = true; more; ) {
    const page = await store.tenants.list({
      limit: TENANTS_A_PAGE,
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    });
    for (const { id } of page.items) {
      const tenant = store.forTenant(id);
      for (const source of await tenant.sources.findWithoutVectors(generation, SOURCES_A_TENANT)) {
        const jobId = await queueEmbedding(tenant, source, options);
        if (jobId === null) continue;
        jobs += 1;
        await options.announce(jobId);
      }
    }
    after = page.items.at(-1)?.id;
    more = page.hasMore;
  }
  return jobs;
}

function queueEmbedding(tenant: TenantStore, found: Source, options: MissingVectorsOptions): Promise<string | null> {
  return tenant.transaction(async ({ sources, jobs }) => {
    const source = await sources.get(found.botId, found.id);
    if (source === null) return null;
    const current = source.jobId === null ? null : await jobs.get(source.jobId);
    if (current?.state === 'queued' || current?.state === 'running') return null;
    const job = newTrainingJob(source, 'reembed', {
      createId: options.createId,
      now: options.clock.now(),
      deadlineMs: options.jobDeadlineMs ?? DEFAULT_DEADLINE_MS,
      maxAttempts: options.maxAttempts ?? 5,
    });
    await jobs.create(job);
    await sources.update(source.id, { jobId: job.id, updatedAt: options.clock.now() });
    return job.id;
  });
}
