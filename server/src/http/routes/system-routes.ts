import { countAlive } from '../../jobs/index.ts';
import { AppError, createDeadline } from '../../kernel/index.ts';
import { wireHealth, wireReady, wireWorkers } from '../contract/index.ts';
import type { HttpParts, ServingState } from '../http-app-options.ts';
import { toWireWorkers } from '../mappers/job.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['System'];
const PING_MS = 2000;
const RETRY_AFTER_MS: Readonly<Record<Exclude<ServingState, 'ready'>, number>> = {
  starting: 1000,
  leaving: 5000,
  draining: 5000,
};

export type SystemParts = Pick<HttpParts, 'store' | 'servingState' | 'clock' | 'renderMetrics' | 'redisState'>;

/** For orchestrators and operators. */
export function addSystemRoutes(app: ZodApp, parts: SystemParts): void {
  for (const path of ['/health', '/healthz']) {
    app.get(
      path,
      { schema: { summary: 'Whether the process is alive', tags, response: { 200: wireHealth } } },
      async () => ({ status: 'ok' as const }),
    );
  }

  for (const path of ['/ready', '/readyz']) {
    app.get(
      path,
      {
        schema: {
          summary: 'Whether the process can serve, or run jobs',
          description:
            '503 while it starts or stops, and when the database does not answer. A Redis that is away leaves it ready.',
          tags,
          response: { 200: wireReady },
        },
      },
      () => readiness(parts),
    );
  }

  app.get(
    '/v1/workers',
    {
      schema: {
        summary: 'List the processes that run jobs',
        description:
          'With how many jobs wait. When none is alive, sources stay `queued`: start the server or a worker.',
        tags,
        response: { 200: wireWorkers },
      },
    },
    async () => {
      const now = parts.clock.now();
      const { jobs, workers } = parts.store.system;
      const due = (await jobs.countQueued(now)).flatMap(({ dueSince, jobs: count }) =>
        dueSince === null ? [] : [{ dueSince, count }],
      );
      const dueSince = due.length === 0 ? null : Math.min(...due.map((group) => group.dueSince));
      const waiting = { jobs: due.reduce((sum, group) => sum + group.count, 0), dueSince };
      return toWireWorkers({ workers: await workers.list(), now }, waiting);
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        summary: 'Metrics in Prometheus text format',
        description: 'From this machine without a key; from elsewhere, or through a proxy, with the `metrics` scope.',
        tags,
        produces: ['text/plain'],
      },
    },
    async (_request, reply) => {
      const { contentType, text } = await parts.renderMetrics();
      return reply.type(contentType).send(text);
    },
  );
}

async function readiness({ store, clock, servingState, redisState }: SystemParts) {
  requireReady(servingState());
  await requireDatabase({ store });
  const now = clock.now();
  const workers = await store.system.workers.list();
  return {
    status: 'ready' as const,
    workers_alive: countAlive(workers, now),
    ...(redisState === undefined ? {} : { redis: redisState() }),
  };
}

/** Rejects with `server_starting` or `server_draining`. */
export function requireReady(state: ServingState): void {
  if (state === 'ready') return;
  const [code, message] =
    state === 'starting'
      ? (['server_starting', 'The server is starting. Try again in a moment.'] as const)
      : (['server_draining', 'The server is stopping. Try again in a moment.'] as const);
  throw new AppError(code, message, { retryable: true, retryAfterMs: RETRY_AFTER_MS[state] });
}

async function requireDatabase({ store }: Pick<HttpParts, 'store'>): Promise<void> {
  using deadline = createDeadline(PING_MS);
  try {
    await Promise.race([store.ping(deadline.signal), aborted(deadline.signal)]);
  } catch (cause) {
    const options = { retryable: true, retryAfterMs: 5000, cause };
    throw new AppError('database_unavailable', 'The database does not answer. Try again in a moment.', options);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
