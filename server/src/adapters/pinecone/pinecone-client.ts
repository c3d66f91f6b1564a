import type { Index, Pinecone } from '@pinecone-database/pinecone';
import { type Clock, createDeadline } from '../../kernel/index.ts';
import { retry } from '../../resilience/index.ts';
import { failureOfCall, failureOfStatus } from './failures.ts';

/** How long one kind of call is tried. Durations in milliseconds. */
export interface Patience {
  readonly attempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** A longer wait than this, asked for by Pinecone, is not waited for. */
  readonly maxRetryAfterMs: number;
  /** Of one attempt. */
  readonly timeoutMs: number;
}

/** Somebody waits for the answer. */
export const QUESTION: Patience = {
  attempts: 3,
  baseDelayMs: 50,
  maxDelayMs: 400,
  maxRetryAfterMs: 1000,
  timeoutMs: 5000,
};
export const BACKGROUND: Patience = {
  attempts: 6,
  baseDelayMs: 250,
  maxDelayMs: 8000,
  maxRetryAfterMs: 60_000,
  timeoutMs: 30_000,
};

export interface DataCall {
  readonly name: string;
  readonly host: string;
  readonly namespace: string;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
}

export interface DataAnswer<Result> {
  readonly value: Result;
  /** Of a write: its log sequence number; of a read: that of the newest write in it. Null: not told. */
  readonly lsn: number | null;
  /** The JSON as it came. */
  readonly text: string;
}

/**
 * The official SDK, loaded at the first call, with what it leaves out: cancelling, time limits, `Retry-After`, and the log
 * sequence numbers of the answers. All calls reject with an AppError or the signal's reason.
 */
export interface PineconeClient {
  control<Result>(
    call: { readonly host: string | null; readonly signal: AbortSignal | undefined },
    ask: (pinecone: Pinecone) => Promise<Result>,
  ): Promise<Result>;
  data<Result>(call: DataCall, ask: (index: Index) => Promise<Result>): Promise<DataAnswer<Result>>;
}

export interface PineconeClientOptions {
  readonly apiKey: string;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly fetch: typeof fetch;
}

interface Exchange {
  failure: Error | null;
  lsn: number | null;
  text: string;
}

export function createPineconeClient({ apiKey, clock, random, fetch: send }: PineconeClientOptions): PineconeClient {
  let loading: Promise<typeof import('@pinecone-database/pinecone')> | undefined;
  const load = () => {
    loading ??= import('@pinecone-database/pinecone');
    return loading;
  };

  /** One attempt: the SDK builds the request and reads the answer, and `fetch` is ours. */
  async function attempt<Result>(
    { patience, signal }: Pick<DataCall, 'patience' | 'signal'>,
    ask: (fetchApi: typeof fetch) => Promise<Result>,
  ): Promise<DataAnswer<Result>> {
    using deadline = createDeadline(patience.timeoutMs, signal);
    const exchange: Exchange = { failure: null, lsn: null, text: '' };
    try {
      const value = await ask((url, init) => exchanged(exchange, url, { ...init, signal: deadline.signal }));
      return { value, lsn: exchange.lsn, text: exchange.text };
    } catch (error) {
      signal?.throwIfAborted();
      throw exchange.failure ?? failureOfCall(error);
    }
  }

  async function exchanged(exchange: Exchange, url: Parameters<typeof fetch>[0], init: RequestInit): Promise<Response> {
    try {
      // A redirect would carry the key to another host.
      const response = await send(url, { ...init, redirect: 'error' });
      const { status, headers } = response;
      exchange.text = await response.text();
      if (!response.ok) throw failureOfStatus(status, { text: exchange.text, headers, now: clock.now() });
      exchange.lsn = lsnIn(headers);
      return new Response(exchange.text === '' ? null : exchange.text, { status, headers });
    } catch (error) {
      exchange.failure = failureOfCall(error);
      throw exchange.failure;
    }
  }

  async function tried<Result>(
    call: Pick<DataCall, 'patience' | 'signal'>,
    ask: (fetchApi: typeof fetch) => Promise<Result>,
  ): Promise<DataAnswer<Result>> {
    const { timeoutMs: _, ...times } = call.patience;
    const options = { ...times, clock, random, ...(call.signal === undefined ? {} : { signal: call.signal }) };
    return (await retry(options, () => attempt(call, ask))).value;
  }

  return {
    async control({ host, signal }, ask) {
      const { Pinecone } = await load();
      const { value } = await tried({ patience: BACKGROUND, signal }, (fetchApi) =>
        ask(new Pinecone({ apiKey, fetchApi, maxRetries: 1, ...(host === null ? {} : { controllerHostUrl: host }) })),
      );
      return value;
    },
    async data(call, ask) {
      const { Index } = await load();
      return tried(call, (fetchApi) =>
        // 1: the SDK's own retries know no `Retry-After` and cannot be cancelled.
        ask(new Index(call.name, { apiKey, fetchApi, maxRetries: 1 }, call.namespace, call.host)),
      );
    },
  };
}

/** Writes name their own; older servers say what is indexed by then instead. */
function lsnIn(headers: Headers): number | null {
  const given = headers.get('x-pinecone-request-lsn') ?? headers.get('x-pinecone-max-indexed-lsn');
  const lsn = Number(given ?? Number.NaN);
  return Number.isSafeInteger(lsn) ? lsn : null;
}
