import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type Clock, type Logger } from '../kernel/index.ts';
import { type IdempotencyRecord, idempotencyInProgress, idempotencyKeyReused, type Store } from '../store/index.ts';
import { bearerOf } from './authentication.ts';
import { headerOf, principalOf, signalOfClient } from './request-context.ts';
import { type ResponseSeal, sealFor } from './response-seal.ts';

const POLL_MS = 200;
const MAX_WAIT_MS = 60_000;
const SANE_KEY = /^[\x21-\x7e]{1,255}$/;

/** What was answered, as it is kept. `digest`: of an upload, whose content is known only when it has been read. */
interface KeptAnswer {
  readonly status: number;
  readonly body: string;
  readonly digest: string | null;
}

type Outcome = { readonly type: 'answered'; readonly answer: KeptAnswer } | { readonly type: 'abandoned' };

interface Attempt {
  readonly tenantId: string;
  /** Hash of the caller's key id and its `Idempotency-Key`. */
  readonly recordKey: string;
  readonly fingerprint: string;
  readonly seal: ResponseSeal;
  readonly isUpload: boolean;
}

interface RunningAttempt {
  readonly fingerprint: string;
  readonly outcome: Promise<Outcome>;
}

/** How long a request waits for another one. */
interface Patience {
  /** Milliseconds since 1970. */
  readonly giveUpAt: number;
  /** Aborts when its client leaves. */
  readonly signal: AbortSignal;
}

/** What a request has claimed. */
interface Held {
  readonly attempt: Attempt;
  readonly end: (outcome: Outcome) => void;
}

export interface IdempotencyParts {
  readonly store: Pick<Store, 'forTenant'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Reads an upload to its end, keeping nothing, and returns the digest of what it held. */
  readonly digestUpload: (request: FastifyRequest) => Promise<string>;
}

/**
 * `Idempotency-Key` on POST: the first request runs, equal ones get its answer, however many come at once and in
 * however many processes; another request under the same key is refused. An answer of 5xx or 429 frees the key. What
 * is kept is sealed under the caller's API key, so that neither answers nor new secrets can be read from the store.
 */
export function createIdempotency({ store, clock, logger, digestUpload }: IdempotencyParts) {
  const running = new Map<string, RunningAttempt>();
  const owned = new WeakMap<FastifyRequest, Held>();

  /** To be called before the handler, which must not run when a reply is returned: it has been sent. */
  async function begin(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const attempt = attemptOf(request);
    if (attempt === null) return undefined;
    const until: Patience = { giveUpAt: clock.now() + MAX_WAIT_MS, signal: signalOfClient(reply) };
    while (clock.now() < until.giveUpAt) {
      const outcome = await join(attempt, request, until);
      if (outcome === 'ours') return undefined;
      if (outcome.type === 'abandoned') continue;
      await requireSameUpload(outcome.answer, request);
      return replay(reply, outcome.answer);
    }
    throw idempotencyInProgress();
  }

  async function join(attempt: Attempt, request: FastifyRequest, until: Patience): Promise<Outcome | 'ours'> {
    const id = `${attempt.tenantId}:${attempt.recordKey}`;
    const first = running.get(id);
    if (first !== undefined) {
      requireSameRequest(first, attempt);
      return within(first.outcome, until);
    }
    const { promise, resolve } = withResolvers<Outcome>();
    running.set(id, { fingerprint: attempt.fingerprint, outcome: promise });
    const end = (outcome: Outcome): void => {
      running.delete(id);
      resolve(outcome);
    };
    try {
      const record = await claim(attempt, until);
      if (record !== null) {
        const outcome: Outcome = { type: 'answered', answer: openRecord(record, attempt) };
        end(outcome);
        return outcome;
      }
    } catch (error) {
      end({ type: 'abandoned' });
      throw error;
    }
    owned.set(request, { attempt, end });
    return 'ours';
  }

  async function claim(attempt: Attempt, { giveUpAt, signal }: Patience): Promise<IdempotencyRecord | null> {
    const records = store.forTenant(attempt.tenantId).idempotency;
    for (;;) {
      const { recordKey: key, fingerprint } = attempt;
      const record = await records.claim({ key, fingerprint, createdAt: clock.now() });
      if (record === null) return null;
      requireSameRequest(record, attempt);
      if (record.state === 'done') return record;
      if (clock.now() >= giveUpAt) throw idempotencyInProgress();
      await clock.sleep(POLL_MS, signal);
    }
  }

  async function within(outcome: Promise<Outcome>, { giveUpAt, signal }: Patience): Promise<Outcome> {
    const timer = new AbortController();
    const leave = (): void => timer.abort(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    const late = clock
      .sleep(Math.max(0, giveUpAt - clock.now()), timer.signal)
      .then(() => Promise.reject(idempotencyInProgress()));
    late.catch(() => {});
    try {
      return await Promise.race([outcome, late]);
    } finally {
      signal.removeEventListener('abort', leave);
      timer.abort();
    }
  }

  async function requireSameUpload(answer: KeptAnswer, request: FastifyRequest): Promise<void> {
    if (answer.digest !== null && answer.digest !== (await digestUpload(request))) throw idempotencyKeyReused();
  }

  /** To be called with every answer, before it is sent. Null: nothing has to be waited for. */
  function settle(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> | null {
    const held = owned.get(request);
    if (held === undefined) return null;
    owned.delete(request);
    return settleHeld(held, { request, reply, payload });
  }

  async function settleHeld(
    { attempt, end }: Held,
    {
      request,
      reply,
      payload,
    }: { readonly request: FastifyRequest; readonly reply: FastifyReply; readonly payload: unknown },
  ): Promise<void> {
    const { statusCode: status } = reply;
    const records = store.forTenant(attempt.tenantId).idempotency;
    const body = typeof payload === 'string' ? payload : '';
    const answer: KeptAnswer = { status, body, digest: attempt.isUpload ? request.bodyHash : null };
    const abandoned = status === 499 || (attempt.isUpload && status >= 400);
    try {
      if (abandoned || status >= 500 || status === 429) await records.release(attempt.recordKey);
      else await records.complete(attempt.recordKey, { status, body: attempt.seal.close(JSON.stringify(answer)) });
    } catch (error) {
      logger.error({ requestId: request.id, error }, 'The answer to an idempotent request could not be kept');
    }
    end(abandoned ? { type: 'abandoned' } : { type: 'answered', answer });
  }

  return { begin, settle };
}

function attemptOf(request: FastifyRequest): Attempt | null {
  const given = headerOf(request, 'idempotency-key');
  if (given === undefined || request.method !== 'POST' || request.principal === null || isStreaming(request)) {
    return null;
  }
  requireSaneKey(given);
  const { tenantId, keyId } = principalOf(request);
  const isUpload = (request.headers['content-type'] ?? '').startsWith('multipart/');
  const content = isUpload ? 'upload' : (request.bodyHash ?? 'empty');
  return {
    tenantId,
    isUpload,
    recordKey: hashOf(keyId ?? 'admin', given),
    fingerprint: hashOf(request.method, request.url, content),
    seal: sealFor(bearerOf(request) ?? '', given),
  };
}

/** What an `Idempotency-Key` claims for a streamed answer, which is joined or replayed from its stream; null: none was sent. */
export function streamClaimOf(request: FastifyRequest): { readonly key: string; readonly fingerprint: string } | null {
  const given = headerOf(request, 'idempotency-key');
  if (given === undefined) return null;
  requireSaneKey(given);
  const { tenantId, keyId } = principalOf(request);
  return {
    key: hashOf(tenantId, keyId ?? 'admin', given),
    fingerprint: hashOf(request.method, request.url, request.bodyHash ?? 'empty'),
  };
}

function requireSaneKey(given: string): void {
  if (SANE_KEY.test(given)) return;
  throw new AppError('invalid_request', 'An Idempotency-Key is 1 to 255 visible ASCII characters.', {
    param: 'Idempotency-Key',
  });
}

function isStreaming({ body, routeOptions }: FastifyRequest): boolean {
  if (routeOptions.url === '/v1/bots/:bot/chat') return true;
  return typeof body === 'object' && body !== null && 'stream' in body && body.stream === true;
}

function hashOf(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex');
}

function openRecord(record: IdempotencyRecord, attempt: Attempt): KeptAnswer {
  return JSON.parse(attempt.seal.open(record.body ?? '')) as KeptAnswer;
}

function requireSameRequest(first: { readonly fingerprint: string }, attempt: Attempt): void {
  if (first.fingerprint !== attempt.fingerprint) throw idempotencyKeyReused();
}

function replay(reply: FastifyReply, answer: KeptAnswer): FastifyReply {
  return reply
    .code(answer.status)
    .header('idempotency-replayed', 'true')
    .type('application/json; charset=utf-8')
    .send(answer.body);
}

function withResolvers<Value>(): { readonly promise: Promise<Value>; readonly resolve: (value: Value) => void } {
  let settle: (value: Value) => void = () => {};
  const promise = new Promise<Value>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: settle };
}
