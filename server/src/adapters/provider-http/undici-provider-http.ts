import { Agent, buildConnector } from 'undici';
import type { ProviderHttp } from '../../llm/index.ts';
import { createWriteGathering } from '../../resilience/index.ts';
import { createExchange } from './exchange.ts';
import { createReadGate } from './read-gate.ts';

export interface ProviderHttpOptions {
  /** Most milliseconds to connect: name look-up, TCP and TLS. Default 5,000. */
  readonly connectTimeoutMs?: number;
}

/** How long an idle connection is kept when its server does not say. */
const KEEP_ALIVE_MS = 30_000;

const ONE_BYTE_MARK = { highWaterMark: 1 } as const;

/**
 * HTTP to model providers over undici's pools, one for each origin. Only connecting has a deadline here: how long a model
 * may take to answer is for the caller to say, through the signal.
 */
export function createProviderHttp({ connectTimeoutMs = 5000 }: ProviderHttpOptions = {}): ProviderHttp {
  let live = 0;
  const gate = createReadGate({ live: () => live });
  const writes = createWriteGathering();
  // A mark of one byte stops reading with every piece, so that the gate says when the next one is read.
  const connect = buildConnector({ timeout: connectTimeoutMs, allowH2: false, ...ONE_BYTE_MARK });
  const agent = new Agent({
    connect(options, callback) {
      connect(options, (...result) => {
        // Undici leaves the socket out when there is an error, whatever its types say.
        if (result[0] === null) {
          gate.admit(result[1]);
          writes.admit(result[1]);
        }
        callback(...result);
      });
    },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    allowH2: false,
  });
  return {
    send(call) {
      live += 1;
      return createExchange(agent, call, () => {
        live -= 1;
      });
    },
    stop: () => agent.destroy(),
  };
}
