import { createTaskServer, type OpenedCelery, openCelery } from '../adapters/celery/index.ts';
import type { ZodApp } from '../http/index.ts';
import type { JobEvents } from '../jobs/index.ts';
import type { Clock, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import type { Job, Store } from '../store/index.ts';
import { createCeleryTasks } from './celery-tasks.ts';
import type { CeleryConfig } from './queue-config.ts';
import { createTaskSettlements } from './task-settlements.ts';

export interface CeleryParts {
  readonly celery: CeleryConfig;
  readonly store: Pick<Store, 'forTenant'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** The connection to Celery's broker, and what is done with it. */
export interface ComposedCelery extends OpenedCelery {
  /** Tasks that others ask for, to be started when the HTTP side answers. */
  tasks(http: Pick<ZodApp, 'inject'>): Lifecycle;
  /** Tells workers of the ends of trainings, when that is wanted. */
  withNews(events: JobEvents): JobEvents;
}

/** The task that news of an ended training are. */
const ENDED_TASK = 'chatsphere.job_ended';
const TOLD = ['succeeded', 'failed', 'cancelled'];
/** For how many times the time after which it would be sent again. */
const LOOKED_AFTER = 10;
/** The same end may be published twice in a row. */
const MOST_REMEMBERED = 1_000;

export function composeCelery({ celery, store, clock, logger, meter }: CeleryParts): ComposedCelery {
  const { eventsResendMs } = celery;
  const looksAfter = eventsResendMs === null ? {} : { silenceMs: eventsResendMs };
  const opened = openCelery({ settings: celery, clock, logger, ...looksAfter });
  const told = new Set<string>();

  function isNews(job: Job): boolean {
    if (job.sourceId === null || job.kind !== 'train' || !TOLD.includes(job.state)) return false;
    const end = newsId(job);
    if (told.has(end)) return false;
    told.add(end);
    for (const oldest of told) {
      if (told.size <= MOST_REMEMBERED) break;
      told.delete(oldest);
    }
    return true;
  }

  async function tell(job: Job, queue: string): Promise<void> {
    try {
      const news = { queue, id: newsId(job), kwargs: newsOf(job), ignoreResult: eventsResendMs === null };
      const sent = await opened.client.sendTask(ENDED_TASK, news);
      // It is sent again, when a worker loses it, for as long as its result is waited for.
      if (eventsResendMs !== null) await sent.result(AbortSignal.timeout(eventsResendMs * LOOKED_AFTER));
    } catch (error) {
      logger.warn({ job: job.id, error }, 'A worker of Celery could not be told of the end of a training');
    }
  }

  return {
    ...opened,
    tasks: (http) =>
      createTaskServer({
        ...{ broker: opened.broker, results: opened.results, queue: celery.queue, clock, logger, meter },
        handlers: createCeleryTasks({ http, apiKey: celery.apiKey }),
        settlements: createTaskSettlements({ store, clock }),
        places: celery.concurrency,
      }),
    withNews(events) {
      const { eventsQueue } = celery;
      if (eventsQueue === null) return events;
      return {
        ...events,
        publish(job) {
          events.publish(job);
          if (isNews(job)) void tell(job, eventsQueue);
        },
      };
    },
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
