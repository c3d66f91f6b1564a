import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../kernel/index.ts';
import {
  type ApiKeys,
  hasScope,
  type Principal,
  type RateLimiter,
  requireBootstrapAdmin,
  requireOrigin,
  requireScope,
} from '../security/index.ts';
import { exposeTo } from './cors.ts';
import { setRateLimitHeaders } from './rate-limit-headers.ts';
import { headerOf } from './request-context.ts';
import type { RouteAccess } from './route-access.ts';

export interface GateParts {
  readonly apiKeys: ApiKeys;
  readonly rateLimiter: RateLimiter;
}

/** Lets a request pass, or not: key, origin, scope, limits, in this order, before its body is read. */
export function createGate({ apiKeys, rateLimiter }: GateParts) {
  async function authenticate(request: FastifyRequest, secret = bearerOf(request)): Promise<Principal> {
    const tenantId = headerOf(request, 'x-chatsphere-tenant');
    return apiKeys.authenticate(secret, tenantId === undefined ? {} : { tenantId });
  }

  /** A browser that has no key yet is told to ask for one. */
  async function authenticateBrowser(request: FastifyRequest, reply: FastifyReply): Promise<Principal> {
    try {
      return await authenticate(request, passwordOf(request) ?? bearerOf(request));
    } catch (error) {
      reply.header('www-authenticate', 'Basic realm="ChatSphere admin key", charset="UTF-8"');
      throw error;
    }
  }

  async function admit(principal: Principal, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const admission = await rateLimiter.admit(principal.keyId ?? `admin:${principal.tenantId}`, principal.limits);
    setRateLimitHeaders(reply, admission, request.routeOptions.url ?? '');
    if (!admission.allowed) throw limitExceeded(admission.exceeded, admission.retryAfterMs);
    const finish = (): void => {
      if (request.stillRunning === null) admission.finish(request.usedTokens);
      else request.stillRunning.then(() => admission.finish(request.usedTokens));
    };
    if (reply.raw.closed) finish();
    else reply.raw.once('close', finish);
  }

  return async (access: RouteAccess, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (access.type === 'public' || (access.type === 'metrics' && isFromThisMachine(request))) return;
    const isForBrowsers = access.type === 'bootstrap-admin' && access.inBrowser === true;
    const principal = await (isForBrowsers ? authenticateBrowser(request, reply) : authenticate(request));
    const origin = headerOf(request, 'origin');
    requireOrigin(principal, origin);
    if (principal.origins !== null && origin !== undefined) exposeTo(origin, reply);
    requireAccess(access, principal);
    request.principal = principal;
    await admit(principal, request, reply);
  };
}

function requireAccess(access: RouteAccess, principal: Principal): void {
  if (access.type === 'bootstrap-admin') requireBootstrapAdmin(principal);
  if (access.type === 'metrics') requireScope(principal, 'metrics');
  if (access.type !== 'key') return;
  if (!access.anyOf.some((scope) => hasScope(principal, scope))) requireScope(principal, access.anyOf[0]);
  for (const scope of access.allOf ?? []) requireScope(principal, scope);
}

/** The key in `Authorization: Bearer <key>`. */
export function bearerOf(request: FastifyRequest): string | undefined {
  const header = headerOf(request, 'authorization');
  if (header === undefined) return undefined;
  return /^Bearer +(\S+) *$/i.exec(header)?.[1] ?? '';
}

/** The password in `Authorization: Basic <base64 of user:password>`; the user's name does not matter. */
function passwordOf(request: FastifyRequest): string | undefined {
  const encoded = /^Basic +([\w+/=]+) *$/i.exec(headerOf(request, 'authorization') ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

/**
 * Behind a proxy every request seems to come from this machine; the proxy's headers, or a `Host` that is not this
 * machine's own name for itself, give that away.
 */
function isFromThisMachine(request: FastifyRequest): boolean {
  const { headers } = request;
  if (['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'].some((name) => headers[name] !== undefined)) return false;
  if (!/^(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/i.test(headers.host ?? '')) return false;
  const address = request.socket.remoteAddress ?? '';
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}

function limitExceeded(exceeded: 'requests' | 'tokens' | 'concurrent', retryAfterMs: number): AppError {
  const what = exceeded === 'concurrent' ? 'requests open at once' : `${exceeded} of this minute`;
  return new AppError('rate_limit_exceeded', `This API key has used up its ${what}. Wait, then try again.`, {
    retryable: true,
    retryAfterMs,
  });
}
