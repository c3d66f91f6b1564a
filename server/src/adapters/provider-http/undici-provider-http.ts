import { Agent } from 'undici';
import type { ProviderHttp } from '../../llm/index.ts';
import { createExchange } from './exchange.ts';

export interface ProviderHttpOptions {
  /** Most milliseconds to connect: name look-up, TCP and TLS. Default 5,000. */
  readonly connectTimeoutMs?: number;
}

/** How long an idle connection is kept when its server does not say. */
const KEEP_ALIVE_MS = 30_000;

/**
 * HTTP to model providers over undici's pools, one for each origin. Only connecting has a deadline here: how long a model
 * may take to answer is for the caller to say, through the signal.
 */
export function createProviderHttp({ connectTimeoutMs = 5000 }: ProviderHttpOptions = {}): ProviderHttp {
  const agent = new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    allowH2: false,
  });
  return {
    send: (call) => createExchange(agent, call),
    stop: () => agent.destroy(),
  };
}
