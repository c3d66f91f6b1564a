import type { FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/index.ts';
import type { Job, JobFilter } from '../../store/index.ts';
import { idParams, jobQuery, listOf, retryJobsBody, wireJob, wireRetriedJobs } from '../contract/index.ts';
import { logFailure, toWireError } from '../error-response.ts';
import { createEventStreams, toLine } from '../event-stream.ts';
import type { HttpParts } from '../http-app-options.ts';
import { type Surroundings, toWireJob } from '../mappers/job.ts';
import { findBot, findJob } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Jobs'];
/** How long a job that is run again may take. */
const RETRY_DEADLINE_MS = 24 * 60 * 60 * 1000;
/** Jobs that one request may run again. */
const MOST_RETRIES = 1000;
const RETRIES_A_PAGE = 100;

/** Background work: its progress, its end, and another try. */
export function addJobRoutes(app: ZodApp, parts: HttpParts): void {
  const { store, jobEvents, clock, logger, announceJob } = parts;
  const eventStreams = createEventStreams(clock);

  const surroundings = async (): Promise<Surroundings> => ({
    workers: await store.system.workers.list(),
    now: clock.now(),
  });

  /** The bots whose jobs are meant; none named: all that the key may use. */
  async function botsOf(request: FastifyRequest, named: string | undefined): Promise<Pick<JobFilter, 'botIds'>> {
    if (named !== undefined) return { botIds: [(await findBot(store, request, named)).id] };
    const { bots } = principalOf(request);
    return bots === null ? {} : { botIds: [...bots] };
  }

  app.get(
    '/v1/jobs',
    {
      schema: {
        summary: 'List jobs',
        description: 'With `state=failed`, the jobs that came to nothing, each with its last error.',
        tags,
        querystring: jobQuery,
        response: { 200: listOf(wireJob) },
      },
    },
    async (request) => {
      const { state, kind, bot, source, ...page } = request.query;
      const found = await store.forTenant(principalOf(request).tenantId).jobs.list({
        ...pageRequestOf(page),
        ...(await botsOf(request, bot)),
        ...(state === undefined ? {} : { state }),
        ...(kind === undefined ? {} : { kind }),
        ...(source === undefined ? {} : { sourceId: source }),
      });
      const around = await surroundings();
      return toWirePage(found, (job: Job) => toWireJob(job, around));
    },
  );

  app.post(
    '/v1/jobs/retry',
    {
      schema: {
        summary: 'Run failed or cancelled jobs again',
        description: 'Oldest first, each from the stage at which it failed; at most 1,000 at once.',
        tags,
        body: retryJobsBody,
        response: { 200: wireRetriedJobs },
      },
    },
    async (request) => {
      const { state, bot, code } = request.body;
      const errorCode = code === undefined ? {} : { errorCode: code };
      const filter = { state, ...errorCode, ...(await botsOf(request, bot)) };
      return { object: 'job.retries' as const, ...(await retryAll(principalOf(request).tenantId, filter)) };
    },
  );

  app.get(
    '/v1/jobs/:id',
    { schema: { summary: 'Get a job', tags, params: idParams, response: { 200: wireJob } } },
    async (request) => toWireJob(await findJob(store, request, request.params.id), await surroundings()),
  );

  app.get(
    '/v1/jobs/:id/events',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'Follow a job until it ends',
        description: 'Server-sent events named `job`, each with the job as it then is; the last one is final.',
        tags,
        params: idParams,
        response: { 200: { description: 'The events.', content: { 'text/event-stream': { schema: wireJob } } } },
      },
    },
    async (request, reply) => {
      const job = await findJob(store, request, request.params.id);
      const stream = eventStreams.create(reply);
      let number = 0;
      try {
        for await (const now of jobEvents.watch(job.tenantId, job.id, stream.signal)) {
          number += 1;
          await stream.send({ event: 'job', id: String(number), data: toLine(toWireJob(now, await surroundings())) });
        }
        if (!stream.isOpen()) stream.signal.throwIfAborted();
      } catch (error) {
        if (!stream.isOpen()) throw error;
        if (stream.signal.aborted) return;
        const failure = new AppError('stream_interrupted', 'The events broke off. Ask for the job again.', {
          retryable: true,
          cause: error,
        });
        logFailure(logger, failure, request);
        await stream.send({ event: 'error', data: toLine(toWireError(failure, request.id)) });
      } finally {
        stream.close();
      }
    },
  );

  app.post(
    '/v1/jobs/:id/cancel',
    { schema: { summary: 'Cancel a job', tags, params: idParams, response: { 200: wireJob } } },
    async (request) => {
      const { id, tenantId } = await findJob(store, request, request.params.id);
      const job = await store.forTenant(tenantId).jobs.requestCancel(id, clock.now());
      if (job === null) throw new AppError('job_not_cancellable', 'This job has already ended.');
      await announce(job);
      return toWireJob(job, await surroundings());
    },
  );

  app.post(
    '/v1/jobs/:id/retry',
    { schema: { summary: 'Run a failed or cancelled job again', tags, params: idParams, response: { 200: wireJob } } },
    async (request) => {
      const job = await queueAgain(await findJob(store, request, request.params.id));
      await announce(job);
      return toWireJob(job, await surroundings());
    },
  );

  async function retryAll(tenantId: string, filter: JobFilter) {
    const { jobs } = store.forTenant(tenantId);
    const result = { retried: 0, skipped: 0, has_more: false };
    for (let after: string | undefined; result.retried + result.skipped < MOST_RETRIES; ) {
      const cursor = after === undefined ? {} : { after };
      const page = await jobs.list({ ...filter, ...cursor, limit: RETRIES_A_PAGE, order: 'asc' });
      for (const job of page.items) {
        const queued = await queueAgain(job).catch((error: unknown) => {
          if (error instanceof AppError && error.code === 'job_not_retryable') return null;
          throw error;
        });
        result[queued === null ? 'skipped' : 'retried'] += 1;
        if (queued !== null) await announce(queued);
      }
      after = page.items.at(-1)?.id;
      result.has_more = page.hasMore;
      if (!page.hasMore) break;
    }
    return result;
  }

  /** With its source, so that nobody sees a source as failed whose job is queued. */
  function queueAgain(job: Job): Promise<Job> {
    const now = clock.now();
    return store.forTenant(job.tenantId).transaction(async ({ jobs, sources }) => {
      const source = job.botId === null || job.sourceId === null ? null : await sources.get(job.botId, job.sourceId);
      if (job.sourceId !== null && source?.jobId !== job.id) throw notRetryable('Its source has a newer job.');
      const queued = await jobs.retry(job.id, { now, deadlineAt: now + RETRY_DEADLINE_MS });
      if (queued === null) throw notRetryable('Only failed and cancelled jobs are.');
      if (source !== null) await sources.update(source.id, { status: 'queued', lastError: null, updatedAt: now });
      return queued;
    });
  }

  async function announce(job: Job): Promise<void> {
    jobEvents.publish(job);
    await announceJob?.(job.id);
  }
}

function notRetryable(why: string): AppError {
  return new AppError('job_not_retryable', `This job cannot be run again. ${why}`);
}
