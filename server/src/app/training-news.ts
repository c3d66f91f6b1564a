import type { TaskClient } from '../adapters/celery/index.ts';
import type { Logger } from '../kernel/index.ts';
import type { Job } from '../store/index.ts';

export interface TrainingNewsOptions {
  readonly client: TaskClient;
  readonly queue: string;
  /** After how long news that a worker has lost are sent again, in milliseconds; null: they are not. */
  readonly resendMs: number | null;
  readonly logger: Logger;
}

/** The task that news of an ended training are. */
const ENDED_TASK = 'chatsphere.job_ended';
const TOLD = ['succeeded', 'failed', 'cancelled'];
/** For how many times the time after which it would be sent again. */
const LOOKED_AFTER = 10;
/** Of news: the same may be published twice in a row, and while no worker is there nobody says that they were heard. */
const MOST_REMEMBERED = 1_000;

/** Tells workers of Celery of the ends of trainings, each end once. Never throws. */
export function createTrainingNews({ client, queue, resendMs, logger }: TrainingNewsOptions): (job: Job) => void {
  /** By its id, what ends the watch over it. */
  const told = new Map<string, AbortController>();

  async function tell(job: Job, watch: AbortController): Promise<void> {
    const id = newsId(job);
    const lookedAfterMs = (resendMs ?? 0) * LOOKED_AFTER;
    let timer: NodeJS.Timeout | undefined;
    try {
      const news = { queue, id, kwargs: newsOf(job), ignoreResult: resendMs === null };
      const sent = await client.sendTask(ENDED_TASK, news);
      if (resendMs === null) return;
      timer = setTimeout(() => watch.abort(new Error('No worker said that it heard it.')), lookedAfterMs).unref();
      // It is sent again, when a worker loses it, for as long as its result is waited for.
      await sent.result(watch.signal);
    } catch (error) {
      // Newer ones took its place.
      if (told.get(id) !== watch) return;
      logger.warn({ job: job.id, error }, 'A worker of Celery could not be told of the end of a training');
    } finally {
      clearTimeout(timer);
    }
  }

  return (job) => {
    if (job.sourceId === null || job.kind !== 'train' || !TOLD.includes(job.state)) return;
    const id = newsId(job);
    if (told.has(id)) return;
    const watch = new AbortController();
    told.set(id, watch);
    for (const [oldest, watched] of told) {
      if (told.size <= MOST_REMEMBERED) break;
      told.delete(oldest);
      watched.abort();
    }
    void tell(job, watch);
  };
}

/** The same end has the same id, so that a worker can know that it has seen it. */
function newsId(job: Job): string {
  return `${job.id}-${job.finishedAt ?? 0}`;
}

function newsOf({ id, tenantId, botId, sourceId, state, lastError, finishedAt }: Job) {
  const error = lastError === null ? null : { code: lastError.code, message: lastError.message };
  const finished = finishedAt === null ? null : Math.floor(finishedAt / 1_000);
  const about = { job_id: id, tenant_id: tenantId, bot_id: botId, source_id: sourceId };
  return { ...about, state, error: state === 'succeeded' ? null : error, finished_at: finished };
}
