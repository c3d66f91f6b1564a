import type { Clock, Lifecycle, Logger } from '../../kernel/index.ts';
import { createAmqpBroker } from './amqp-broker.ts';
import type { CeleryBroker, CeleryResults } from './ports.ts';
import { createRedisBroker } from './redis-broker.ts';
import { createRedisResults } from './redis-results.ts';
import { createRpcResults } from './rpc-results.ts';
import { createSentTasks } from './sent-tasks.ts';
import { createTaskClient, type TaskClient } from './task-client.ts';

export interface CelerySettings {
  /** `redis://`, `rediss://`, `amqp://` or `amqps://`. A secret. */
  readonly brokerUrl: string;
  /** A Redis, or `rpc://`: messages through the broker. A secret. */
  readonly resultBackend: string;
  /** How long results are kept in Redis, in seconds. */
  readonly resultExpireSeconds: number;
}

export interface CeleryOptions {
  readonly settings: CelerySettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of a consumer in Redis; see `RedisBrokerOptions`. */
  readonly leaseMs?: number;
  /** After how long a task without a result that the broker has no more is sent again, in milliseconds; without it none is. */
  readonly silenceMs?: number;
}

/** A broker and its results, as an application of Celery has them. */
export interface OpenedCelery extends Lifecycle {
  readonly broker: CeleryBroker;
  readonly results: CeleryResults;
  readonly client: TaskClient;
}

/** Nothing is connected, or even loaded, before `start`. */
export function openCelery(options: CeleryOptions): OpenedCelery {
  const { settings, clock, logger, leaseMs, silenceMs } = options;
  const { brokerUrl, resultBackend } = settings;
  const broker = /^amqps?:/.test(brokerUrl)
    ? createAmqpBroker({ url: brokerUrl, logger })
    : createRedisBroker({ url: brokerUrl, logger, ...(leaseMs === undefined ? {} : { leaseMs }) });
  const results = resultBackend.startsWith('rpc:')
    ? createRpcResults({ broker })
    : createRedisResults({ url: resultBackend, logger, expireSeconds: settings.resultExpireSeconds });
  const sentTasks = silenceMs === undefined ? null : createSentTasks({ broker, clock, logger, silenceMs });
  return {
    name: 'celery',
    broker,
    results,
    client: createTaskClient({ broker, results, clock, sentTasks }),
    async start() {
      await broker.start();
      await results.start();
    },
    async stop() {
      await sentTasks?.stop();
      await results.stop();
      await broker.stop();
    },
  };
}
