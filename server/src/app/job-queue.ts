import { createBullMqTransport, createQueueBoard, openBullMq, type QueueBoard } from '../adapters/bullmq/index.ts';
import { createCeleryTransport, type OpenedCelery } from '../adapters/celery/index.ts';
import { createBusTransport, createMemoryTransport, type JobTransport } from '../jobs/index.ts';
import type { Clock, Lifecycle, Logger, Meter } from '../kernel/index.ts';
import type { MessageBus } from '../resilience/index.ts';
import type { Config } from './config.ts';

export interface JobQueueParts {
  readonly config: Pick<Config, 'queue' | 'redis' | 'celery'>;
  /** Null: no Celery is configured. */
  readonly celery: OpenedCelery | null;
  readonly clock: Clock;
  /** Of the database that processes share; null: there is one process. */
  readonly bus: MessageBus | null;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Where the board of the queue is to be seen. */
  readonly boardPath: string;
}

/** How processes tell each other that a job is ready. */
export interface JobQueue {
  readonly transport: JobTransport;
  /** To be started before the runners. */
  readonly lifecycle: Lifecycle;
  /** Null: this queue has none. */
  readonly board: QueueBoard | null;
}

export function composeJobQueue(parts: JobQueueParts): JobQueue {
  const { config, celery, bus, clock, logger, meter, boardPath } = parts;
  if (config.queue === 'bullmq' && config.redis !== null) {
    const queue = openBullMq({ settings: config.redis, logger, meter });
    const transport = createBullMqTransport({ queue, meter });
    const board = createQueueBoard(queue, boardPath);
    return { transport, board, lifecycle: withBoard(transport, board) };
  }
  if (config.queue === 'celery' && config.celery !== null && celery !== null) {
    const queue = `${config.celery.queue}.jobs`;
    const transport = createCeleryTransport({ broker: celery.broker, queue, clock, meter });
    return { transport, board: null, lifecycle: lifecycleOf(transport) };
  }
  const transport = bus === null ? createMemoryTransport() : createBusTransport(bus);
  return { transport, board: null, lifecycle: lifecycleOf(transport) };
}

function lifecycleOf(transport: JobTransport): Lifecycle {
  return { name: 'job transport', start: () => transport.start(), stop: () => transport.stop() };
}

function withBoard(transport: JobTransport, board: QueueBoard): Lifecycle {
  return {
    ...lifecycleOf(transport),
    async stop() {
      await board.stop();
      await transport.stop();
    },
  };
}
