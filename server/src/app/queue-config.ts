import { z } from 'zod';
import type { CelerySettings } from '../adapters/celery/index.ts';
import { oneOf, wholeNumber } from './environment-values.ts';

/** Who tells processes that a job is ready. */
export type QueueKind = 'memory' | 'bullmq' | 'celery';

/** How this server takes part in an installation of Celery. */
export interface CeleryConfig extends CelerySettings {
  /** Its tasks are taken from here. */
  readonly queue: string;
  /** With what key tasks act that bring none; null: those are refused. */
  readonly apiKey: string | null;
  /** Tasks at once. */
  readonly concurrency: number;
  /** Where news of ended trainings go as tasks; null: nowhere. */
  readonly eventsQueue: string | null;
  /** After how long news that a worker lost are sent again, in milliseconds; null: nobody looks after them. */
  readonly eventsResendMs: number | null;
}

const QUEUE_NAME = z
  .string()
  .regex(/^[\w.:-]{1,100}$/, 'must have 1 to 100 letters, digits or _ . : -')
  .refine((name) => !name.startsWith('amq.'), { error: 'must not begin with amq.' });

/** The settings of the queue, for the schema of the environment. */
export const queueEnvironment = {
  QUEUE: oneOf(['auto', 'memory', 'bullmq', 'celery']).default('auto'),
  CELERY_BROKER_URL: z
    .string()
    .refine((text) => isAddress(text, ['redis:', 'rediss:', 'amqp:', 'amqps:']), {
      error: 'must be a redis://, rediss://, amqp:// or amqps:// address, such as amqp://127.0.0.1:5672/',
    })
    .optional(),
  CELERY_RESULT_BACKEND: z
    .string()
    .refine((text) => text === 'rpc://' || isAddress(text, ['redis:', 'rediss:']), {
      error: 'must be rpc:// or a redis:// or rediss:// address',
    })
    .optional(),
  CELERY_RESULT_EXPIRES_SECONDS: wholeNumber(60, 31_536_000).default(86_400),
  CELERY_QUEUE: QUEUE_NAME.default('chatsphere'),
  CELERY_API_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  CELERY_CONCURRENCY: wholeNumber(1, 1000).default(16),
  CELERY_EVENTS_QUEUE: QUEUE_NAME.optional(),
  CELERY_EVENTS_RESEND_SECONDS: wholeNumber(5, 86_400).optional(),
};

interface QueueEnvironment {
  readonly QUEUE: 'auto' | QueueKind;
  readonly REDIS_URL?: string | undefined;
  readonly CELERY_BROKER_URL?: string | undefined;
  readonly CELERY_RESULT_BACKEND?: string | undefined;
  readonly CELERY_RESULT_EXPIRES_SECONDS: number;
  readonly CELERY_QUEUE: string;
  readonly CELERY_API_KEY?: string | undefined;
  readonly CELERY_CONCURRENCY: number;
  readonly CELERY_EVENTS_QUEUE?: string | undefined;
  readonly CELERY_EVENTS_RESEND_SECONDS?: number | undefined;
}

/** The parts of the configuration that are about queues. */
export interface QueueSettings {
  readonly queue: QueueKind;
  /** Null: this server is no part of an installation of Celery. */
  readonly celery: CeleryConfig | null;
}

export function queueSettingsOf(environment: QueueEnvironment): QueueSettings {
  const { QUEUE, REDIS_URL } = environment;
  const queue = QUEUE === 'auto' ? (REDIS_URL === undefined ? 'memory' : 'bullmq') : QUEUE;
  return { queue, celery: celeryOf(environment) };
}

/** Null: no Celery. With `QUEUE=celery` and no broker of its own, the Redis that there is. */
function celeryOf(environment: QueueEnvironment): CeleryConfig | null {
  const brokerUrl =
    environment.CELERY_BROKER_URL ?? (environment.QUEUE === 'celery' ? environment.REDIS_URL : undefined);
  if (brokerUrl === undefined) return null;
  const { CELERY_EVENTS_RESEND_SECONDS: resendSeconds } = environment;
  return {
    brokerUrl,
    resultBackend: environment.CELERY_RESULT_BACKEND ?? (brokerUrl.startsWith('amqp') ? 'rpc://' : brokerUrl),
    resultExpireSeconds: environment.CELERY_RESULT_EXPIRES_SECONDS,
    queue: environment.CELERY_QUEUE,
    apiKey: environment.CELERY_API_KEY ?? null,
    concurrency: environment.CELERY_CONCURRENCY,
    eventsQueue: environment.CELERY_EVENTS_QUEUE ?? null,
    eventsResendMs: resendSeconds === undefined || brokerUrl.startsWith('amqp') ? null : resendSeconds * 1_000,
  };
}

/** What of the settings of the queue does not go together. */
export function queueFaults(environment: QueueEnvironment): readonly string[] {
  const { QUEUE, REDIS_URL } = environment;
  if (QUEUE === 'bullmq' && REDIS_URL === undefined) return ['QUEUE=bullmq needs a Redis: set REDIS_URL'];
  if (QUEUE === 'celery' && celeryOf(environment) === null) {
    return ['QUEUE=celery needs a broker: set CELERY_BROKER_URL, or REDIS_URL'];
  }
  if (environment.CELERY_RESULT_BACKEND !== undefined && celeryOf(environment) === null) {
    return ['CELERY_RESULT_BACKEND has no effect without CELERY_BROKER_URL (or QUEUE=celery with REDIS_URL)'];
  }
  return [];
}

/** What must not be logged: addresses with passwords, the passwords as they are written and meant, and the key. */
export function celerySecrets(celery: CeleryConfig | null): readonly string[] {
  if (celery === null) return [];
  const addresses = [celery.brokerUrl, celery.resultBackend].filter((address) => address !== 'rpc://');
  const passwords = addresses.flatMap((address) => {
    const { password } = new URL(address);
    return password === '' ? [] : [address, password, decodeURIComponent(password)];
  });
  return celery.apiKey === null ? passwords : [...passwords, celery.apiKey];
}

function isAddress(text: string, protocols: readonly string[]): boolean {
  try {
    const { protocol, hostname, password } = new URL(text);
    decodeURIComponent(password);
    return protocols.includes(protocol) && hostname !== '';
  } catch {
    return false;
  }
}
