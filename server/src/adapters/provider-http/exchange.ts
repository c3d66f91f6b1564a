import type { Dispatcher } from 'undici';
import { AppError } from '../../kernel/index.ts';
import {
  interrupted,
  invalidResponse,
  type ProviderCall,
  type ProviderResponse,
  unanswered,
  unreachable,
} from '../../llm/index.ts';

/** What may wait for a reader before the sender is held up. */
const MOST_WAITING_BYTES = 256 * 1024;

interface Waiting<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (reason: unknown) => void;
}

type State =
  /** Until the head has come. */
  | { readonly type: 'asking'; readonly head: Waiting<ProviderResponse> }
  | { readonly type: 'reading' }
  /** The body is there as far as it goes; `failure` follows what is still to be read. */
  | { readonly type: 'ended'; readonly failure: Error | null }
  /** Nobody reads any more; the rest is thrown away. */
  | { readonly type: 'finishing'; readonly timer: NodeJS.Timeout }
  | { readonly type: 'left'; readonly reason: unknown };

/** Sends one call; resolves with its response once the head is there. `onOver` is told once the call is over, however. */
export function createExchange(
  dispatcher: Dispatcher,
  call: ProviderCall,
  onOver: () => void = () => {},
): Promise<ProviderResponse> {
  return new Promise((resolve, reject) => {
    if (call.signal?.aborted) {
      onOver();
      reject(call.signal.reason);
      return;
    }
    const { origin, path } = splitUrl(call.url);
    dispatcher.dispatch(
      {
        origin,
        path,
        method: call.body === null ? 'GET' : 'POST',
        headers: call.headers,
        body: call.body,
      },
      createHandler({ resolve, reject }, call.signal, onOver),
    );
  });
}

function splitUrl(url: string): { readonly origin: string; readonly path: string } {
  const from = url.indexOf('/', url.indexOf('://') + 3);
  return from < 0 ? { origin: url, path: '/' } : { origin: url.slice(0, from), path: url.slice(from) };
}

function createHandler(
  head: Waiting<ProviderResponse>,
  signal: AbortSignal | undefined,
  onOver: () => void,
): Dispatcher.DispatchHandler {
  let state: State = { type: 'asking', head };
  let controller: Dispatcher.DispatchController | null = null;
  let pieces: Uint8Array[] = [];
  let waitingBytes = 0;
  let wakeReader: (() => void) | null = null;
  signal?.addEventListener('abort', onAbort, { once: true });

  function onAbort(): void {
    leave(signal?.reason);
  }

  function wake(): void {
    wakeReader?.();
    wakeReader = null;
  }

  /** Leaves a state in which the call was under way. */
  function become(next: State): void {
    signal?.removeEventListener('abort', onAbort);
    if (state.type !== 'ended' && state.type !== 'left') onOver();
    if (state.type === 'finishing') clearTimeout(state.timer);
    if (state.type === 'asking') state.head.reject(failureOf(next));
    state = next;
    wake();
  }

  /** Why a call that has not answered never will. Made for those alone: an error takes a stack. */
  function failureOf(next: State): unknown {
    if (next.type === 'left') return next.reason;
    return next.type === 'ended' ? headless(next.failure) : null;
  }

  /** A request is begun only on a connection that was made. */
  function headless(failure: Error | null): AppError {
    if (controller === null) return unreachable(failure);
    return isForeign(failure) ? invalidResponse('what is no HTTP', failure) : unanswered(failure);
  }

  /** Ends the call at the provider; whoever waits is told why. */
  function leave(reason: unknown): void {
    const isUnderWay = state.type !== 'ended' && state.type !== 'left';
    pieces = [];
    become({ type: 'left', reason });
    if (isUnderWay) controller?.abort(NOT_WANTED);
  }

  function end(failure: Error | null): void {
    if (state.type !== 'left') become({ type: 'ended', failure });
  }

  function take(): readonly Uint8Array[] {
    const taken = pieces;
    pieces = [];
    waitingBytes = 0;
    if (controller?.paused) controller.resume();
    return taken;
  }

  /** Woken once for all that came in one turn of the event loop. */
  async function read(): Promise<readonly Uint8Array[] | null> {
    if (pieces.length === 0 && state.type === 'reading') {
      await new Promise<void>((resolve) => {
        wakeReader = resolve;
      });
    }
    if (pieces.length > 0) return take();
    const now = state as State;
    if (now.type === 'left') throw now.reason;
    if (now.type === 'ended' && now.failure !== null) throw interrupted(now.failure);
    return null;
  }

  function finish(withinMs: number): void {
    if (state.type !== 'reading') return;
    const timer = setTimeout(() => leave(NOT_WANTED), withinMs);
    timer.unref();
    state = { type: 'finishing', timer };
    take();
    wake();
  }

  return {
    onRequestStart(started) {
      controller = started;
      if (state.type === 'left') started.abort(NOT_WANTED);
    },
    onResponseStart(_controller, status, headers) {
      if (status < 200 || state.type !== 'asking') return;
      const { head: waiting } = state;
      state = { type: 'reading' };
      waiting.resolve({
        status,
        header: (name) => [headers[name]].flat()[0],
        read,
        finish,
        cancel() {
          if (state.type !== 'finishing') leave(NOT_WANTED);
        },
      });
    },
    onResponseData(from, piece) {
      if (state.type !== 'reading') return;
      pieces.push(piece);
      waitingBytes += piece.byteLength;
      if (waitingBytes > MOST_WAITING_BYTES) from.pause();
      wake();
    },
    onResponseEnd: () => end(null),
    onResponseError: (_controller, error) => end(error),
  };
}

/** As undici's parser names what it cannot read. */
function isForeign(failure: Error | null): boolean {
  return failure !== null && 'code' in failure && String(failure.code).startsWith('HPE_');
}

const NOT_WANTED = new AppError('request_aborted', 'The answer is no longer wanted.');
