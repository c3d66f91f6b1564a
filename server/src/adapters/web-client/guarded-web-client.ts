import { lookup } from 'node:dns/promises';
import { Readable } from 'node:stream';
import { Agent, type Dispatcher, request as send } from 'undici';
import { AppError, createDeadline, type Deadline } from '../../kernel/index.ts';
import type { WebAnswer, WebClient, WebRequest } from '../../training/index.ts';
import { ACCEPTED_ENCODINGS, discard, readBody, tooLarge } from './body-reading.ts';
import { fetchFailure, refusedStatus } from './fetch-failures.ts';
import { createGuardedConnector, type Resolver } from './guarded-connector.ts';
import { createUrlGuard } from './url-guard.ts';

export interface GuardedWebClientOptions {
  /** Hosts (`name` or `name:port`) that may be on private addresses. */
  readonly allowPrivateHosts?: readonly string[];
  /** Sent as the user agent. */
  readonly userAgent: string;
  /** Default: the system's. */
  readonly resolve?: Resolver;
  readonly timeouts?: Partial<WebTimeouts>;
  readonly maxRedirects?: number;
}

/** In milliseconds. */
export interface WebTimeouts {
  readonly connect: number;
  readonly headers: number;
  /** Between two pieces of a body. */
  readonly idle: number;
  /** From the first byte sent to the last one received; a redirect begins anew. */
  readonly total: number;
}

const TIMEOUTS: WebTimeouts = { connect: 5_000, headers: 15_000, idle: 10_000, total: 60_000 };
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const CONNECTIONS_A_HOST = 4;
const MOST_LEFT_BYTES = 16_384;

/** The web client over undici. Settings for proxies in the environment are not looked at: a proxy would undo the guard. */
export function createGuardedWebClient(options: GuardedWebClientOptions): WebClient {
  const guard = createUrlGuard(options.allowPrivateHosts ?? []);
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const maxRedirects = options.maxRedirects ?? 5;
  const agent = new Agent({
    connect: createGuardedConnector({
      guard,
      resolve: options.resolve ?? ((hostname) => lookup(hostname, { all: true })),
      connectTimeoutMs: timeouts.connect,
    }),
    connections: CONNECTIONS_A_HOST,
    pipelining: 1,
    headersTimeout: timeouts.headers,
    bodyTimeout: timeouts.idle,
  });

  /** One call. What an address waits for its turn is not the server's time, so that each call has a deadline of its own. */
  async function callOnce(url: URL, request: WebRequest, signal: AbortSignal): Promise<WebAnswer> {
    const deadline = createDeadline(timeouts.total, signal);
    try {
      const answer = await call(url, request, deadline.signal);
      const location = REDIRECTS.has(answer.statusCode) ? headerOf(answer, 'location') : null;
      if (location === null) return answerOf(url, answer, { request, deadline });
      leave(answer.body);
      const target = guard.check(URL.canParse(location, url.href) ? new URL(location, url.href).href : location);
      target.hash = '';
      deadline[Symbol.dispose]();
      return { type: 'redirect', url: target.href };
    } catch (error) {
      deadline[Symbol.dispose]();
      if (signal.aborted) throw signal.reason;
      throw fetchFailure(error, deadline.signal);
    }
  }

  function call(url: URL, { known }: WebRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const conditional = known?.url === url.href ? known : undefined;
    return send(url, {
      dispatcher: agent,
      signal,
      headers: {
        'user-agent': options.userAgent,
        accept: 'text/html, application/xhtml+xml, text/markdown, text/plain, application/pdf, */*;q=0.5',
        'accept-encoding': ACCEPTED_ENCODINGS,
        ...(conditional?.etag ? { 'if-none-match': conditional.etag } : {}),
        ...(conditional?.lastModified ? { 'if-modified-since': conditional.lastModified } : {}),
      },
    });
  }

  function answerOf(
    url: URL,
    answer: Dispatcher.ResponseData,
    { request, deadline }: { readonly request: WebRequest; readonly deadline: Deadline },
  ): WebAnswer {
    try {
      if (answer.statusCode === 304) return notModified(url, answer, { request, deadline });
      if (answer.statusCode !== 200) throw refusedStatus(answer.statusCode, headerOf(answer, 'retry-after'));
      const mediaType = (headerOf(answer, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
      if (!request.accepts(mediaType)) {
        throw new AppError(
          'unsupported_file_type',
          `The address has content of the type "${mediaType}", which cannot be trained on.`,
        );
      }
      if (Number(headerOf(answer, 'content-length') ?? 0) > request.maxBytes) throw tooLarge(request.maxBytes);
      const body = readBody(answer.body, headerOf(answer, 'content-encoding') ?? undefined, {
        maxBytes: request.maxBytes,
        onEnd: () => deadline[Symbol.dispose](),
        explain: (error) => fetchFailure(error, deadline.signal),
      });
      return {
        type: 'content',
        url: url.href,
        mediaType: headerOf(answer, 'content-type') ?? '',
        etag: headerOf(answer, 'etag'),
        lastModified: headerOf(answer, 'last-modified'),
        robotsTag: headerOf(answer, 'x-robots-tag'),
        body: Readable.from(body, { objectMode: false }),
      };
    } catch (error) {
      discard(answer.body);
      throw error;
    }
  }

  function notModified(
    url: URL,
    { body }: Dispatcher.ResponseData,
    { request, deadline }: { readonly request: WebRequest; readonly deadline: Deadline },
  ): WebAnswer {
    leave(body);
    deadline[Symbol.dispose]();
    if (request.known?.url === url.href) return { type: 'not-modified', url: url.href };
    throw new AppError('fetch_failed', 'The server says that nothing changed, without having been asked.');
  }

  return {
    check: guard.check,
    async get(request, signal) {
      signal.throwIfAborted();
      let url = guard.check(request.url);
      for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
        await request.admit(url);
        const answer = await callOnce(url, request, signal);
        if (answer.type !== 'redirect' || request.redirects === 'report') return answer;
        url = new URL(answer.url);
      }
      throw new AppError('fetch_failed', `The page redirects more than ${maxRedirects} times.`);
    },
    stop: () => agent.destroy(),
  };
}

/** Reads the little that comes with a redirect, so that the connection can be used again. */
function leave(body: Dispatcher.ResponseData['body']): void {
  void body.dump({ limit: MOST_LEFT_BYTES }).catch(() => {});
}

function headerOf({ headers }: Dispatcher.ResponseData, name: string): string | null {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(', ') : value) ?? null;
}
