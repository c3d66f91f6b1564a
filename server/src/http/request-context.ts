import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../kernel/index.ts';
import type { Principal } from '../security/index.ts';
import type { ZodApp } from './zod-app.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on routes that need no key. */
    principal: Principal | null;
    /** When the request arrived, in milliseconds since 1970. */
    receivedAt: number;
    /** SHA-256 of the body, hex; set when a request with an `Idempotency-Key` has been read. */
    bodyHash: string | null;
    /** Tokens the request has used, for the caller's limit. */
    usedTokens: number;
    /** Resolves when what the request began is over, where that outlives its connection. */
    stillRunning: Promise<void> | null;
  }
}

/** Declares what requests carry. */
export function decorateRequests(app: ZodApp): void {
  app.decorateRequest('principal', null);
  app.decorateRequest('receivedAt', 0);
  app.decorateRequest('bodyHash', null);
  app.decorateRequest('usedTokens', 0);
  app.decorateRequest('stillRunning', null);
}

/** Who is calling, on routes that need a key. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new AppError('missing_api_key', 'This route needs an API key.');
  return request.principal;
}

/** A signal that aborts with `request_aborted` as soon as the client leaves before the response has ended. */
export function signalOfClient(reply: FastifyReply): AbortSignal {
  return abortOfClient(reply).signal;
}

/** The same, for those who have reasons of their own to abort, too. */
export function abortOfClient(reply: FastifyReply): AbortController {
  const controller = new AbortController();
  const { raw } = reply;
  const leave = (): void => {
    if (!raw.writableEnded) controller.abort(new AppError('request_aborted', 'The client left.'));
  };
  if (raw.closed || raw.destroyed) leave();
  else raw.once('close', leave);
  return controller;
}

const SANE_REQUEST_ID = /^[\w-]{1,64}$/;

/** The caller's own request id if it is harmless in headers and logs. */
export function incomingRequestId(header: string | string[] | undefined): string | null {
  return typeof header === 'string' && SANE_REQUEST_ID.test(header) ? header : null;
}

/** The single value of a request header. */
export function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
