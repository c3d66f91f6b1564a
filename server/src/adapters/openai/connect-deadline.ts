import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { AppError, type Clock } from '../../kernel/index.ts';

/** Names a call in what the HTTP client reports about itself; OpenAI keeps it with its own request id. */
export const CALL_ID_HEADER = 'x-client-request-id';

export interface ConnectDeadlineOptions {
  /** The value of the call's `x-client-request-id` header. */
  readonly callId: string;
  readonly milliseconds: number;
  readonly clock: Clock;
  /** Told when the call has had no connection to write to for that long. */
  readonly onExpired: (error: AppError) => void;
}

/**
 * Bounds the time that a fetch takes to connect, apart from the time that the server takes to answer: `fetch` has no
 * such option, but Node's HTTP client says on diagnostics channels when it took a request and when it wrote its head to
 * a socket. A client that says nothing there (another `fetch`) is not bounded. Dispose it when the call has answered.
 */
export function watchConnect({ callId, milliseconds, clock, onExpired }: ConnectDeadlineOptions): Disposable {
  const stopped = new AbortController();
  const isThisCall = (message: unknown): boolean =>
    (message as { request?: { headers?: readonly unknown[] } }).request?.headers?.includes(callId) === true;
  const onTaken = (message: unknown): void => {
    if (isThisCall(message)) void expire();
  };
  const onWritten = (message: unknown): void => {
    if (isThisCall(message)) stop();
  };

  async function expire(): Promise<void> {
    try {
      await clock.sleep(milliseconds, stopped.signal);
    } catch {
      return;
    }
    stop();
    onExpired(
      new AppError('provider_unreachable', 'The provider could not be connected to in time.', { retryable: true }),
    );
  }

  function stop(): void {
    stopped.abort();
    unsubscribe('undici:request:create', onTaken);
    unsubscribe('undici:client:sendHeaders', onWritten);
  }

  subscribe('undici:request:create', onTaken);
  subscribe('undici:client:sendHeaders', onWritten);
  return { [Symbol.dispose]: stop };
}
