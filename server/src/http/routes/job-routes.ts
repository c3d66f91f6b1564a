import { AppError } from '../../kernel/index.ts';
import type { Job } from '../../store/index.ts';
import { idParams, wireJob } from '../contract/index.ts';
import { logFailure, toWireError } from '../error-response.ts';
import { createEventStream, toLine } from '../event-stream.ts';
import type { HttpParts } from '../http-app-options.ts';
import { toWireJob } from '../mappers/job.ts';
import { findJob } from '../owned.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Jobs'];
/** How long a job that is run again may take. */
const RETRY_DEADLINE_MS = 24 * 60 * 60 * 1000;

/** Background work: its progress, its end, and another try. */
export function addJobRoutes(app: ZodApp, parts: HttpParts): void {
  const { store, jobEvents, clock, logger, announceJob } = parts;

  app.get(
    '/v1/jobs/:id',
    { schema: { summary: 'Get a job', tags, params: idParams, response: { 200: wireJob } } },
    async (request) => toWireJob(await findJob(store, request, request.params.id)),
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
      const stream = createEventStream(reply, clock);
      let number = 0;
      try {
        for await (const now of jobEvents.watch(job.tenantId, job.id, stream.signal)) {
          number += 1;
          await stream.send({ event: 'job', id: String(number), data: toLine(toWireJob(now)) });
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
      return toWireJob(job);
    },
  );

  app.post(
    '/v1/jobs/:id/retry',
    { schema: { summary: 'Run a failed or cancelled job again', tags, params: idParams, response: { 200: wireJob } } },
    async (request) => {
      const job = await queueAgain(await findJob(store, request, request.params.id));
      await announce(job);
      return toWireJob(job);
    },
  );

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
