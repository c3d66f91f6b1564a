import { createTaskServer, type OpenedCelery, openCelery } from '../adapters/celery/index.ts';
import type { ZodApp } from '../http/index.ts';
import type { JobEvents } from '../jobs/index.ts';
import type { Clock, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { createCeleryTasks } from './celery-tasks.ts';
import type { CeleryConfig } from './queue-config.ts';
import { createTaskSettlements } from './task-settlements.ts';
import { createTrainingNews } from './training-news.ts';

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

export function composeCelery({ celery, store, clock, logger, meter }: CeleryParts): ComposedCelery {
  const { eventsResendMs } = celery;
  const looksAfter = eventsResendMs === null ? {} : { silenceMs: eventsResendMs };
  const opened = openCelery({ settings: celery, clock, logger, ...looksAfter });
  return {
    ...opened,
    tasks: (http) =>
      createTaskServer({
        ...{ broker: opened.broker, results: opened.results, queue: celery.queue, clock, logger, meter },
        handlers: createCeleryTasks({ http, apiKey: celery.apiKey }),
        settlements: createTaskSettlements({ store, clock, logger }),
        places: celery.concurrency,
      }),
    withNews(events) {
      const { eventsQueue } = celery;
      if (eventsQueue === null) return events;
      const tell = createTrainingNews({ client: opened.client, queue: eventsQueue, resendMs: eventsResendMs, logger });
      return {
        ...events,
        publish(job) {
          events.publish(job);
          tell(job);
        },
      };
    },
  };
}
