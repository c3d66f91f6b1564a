import type { ServerResponse } from 'node:http';

export type PineconeFault =
  | 'none'
  | 'rate-limit'
  | 'quota'
  | 'error'
  | 'unavailable'
  | 'unauthorized'
  | 'cut'
  | 'cut-body'
  | 'hang'
  | 'no-json';

export interface PineconeSettings {
  apiKey: string;
  /** Strike the next calls, one each. */
  faults: PineconeFault[];
  /** Of every call that `faults` does not strike. */
  always: PineconeFault;
  /** Paths whose calls can be struck; null: all. */
  struck: readonly string[] | null;
  /** Sent with a 429; 0: no such header. */
  retryAfterSeconds: number;
  /** So many reads of a namespace go by before a write shows. */
  lagReads: number;
  /** And so many milliseconds. */
  lagMs: number;
  /** False for indexes that say nothing of log sequence numbers. */
  sendsLsn: boolean;
  /** A new index is ready when it was described so often. */
  readyAfterDescribes: number;
}

/** An error in the words of the API. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  /** The control plane and the data plane spell errors differently. */
  toJson(plane: 'control' | 'data'): object {
    const { status, message } = this;
    if (plane === 'control') return { error: { code: CODES[status] ?? 'UNKNOWN', message }, status };
    return { code: GRPC_CODES[status] ?? 2, message, details: [] };
  }
}

const CODES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  402: 'PAYMENT_REQUIRED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  429: 'RESOURCE_EXHAUSTED',
};
const GRPC_CODES: Readonly<Record<number, number>> = { 400: 3, 401: 16, 404: 5, 413: 11, 429: 8, 500: 13, 503: 14 };

/** The fault that strikes this call, taken off the list. */
export function struckBy(call: { readonly path: string }, settings: PineconeSettings): PineconeFault {
  if (settings.struck !== null && !settings.struck.includes(call.path)) return 'none';
  return settings.faults.shift() ?? settings.always;
}

/** Fails the call at once; false when the fault comes later or not at all. */
export function fail(response: ServerResponse, fault: PineconeFault, settings: PineconeSettings): boolean {
  const refuse = (status: number, message: string, headers: Record<string, string> = {}): true => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(new Refusal(status, message).toJson('data')));
    return true;
  };
  switch (fault) {
    case 'rate-limit': {
      const { retryAfterSeconds: seconds } = settings;
      return refuse(429, 'Too many requests', seconds === 0 ? {} : { 'retry-after': String(seconds) });
    }
    case 'quota':
      return refuse(429, "You've reached your read unit limit for the current month (1000000).");
    case 'error':
      return refuse(500, 'Internal error');
    case 'unavailable':
      return refuse(503, 'Service unavailable');
    case 'unauthorized':
      return refuse(401, 'Invalid API Key');
    case 'cut':
      response.destroy();
      return true;
    case 'hang':
      return true;
    case 'no-json':
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<html>a gateway</html>');
      return true;
    default:
      return false;
  }
}
