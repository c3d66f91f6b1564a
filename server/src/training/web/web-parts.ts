import type { Clock } from '../../kernel/index.ts';
import { createHostTurns } from './host-turns.ts';
import { createPageReader } from './page-reader.ts';
import type { FetchingParts } from './page-visit.ts';
import { createRobotsRules } from './robots-rules.ts';
import type { WebClient } from './web-client.ts';

export interface WebPartsOptions {
  readonly client: WebClient;
  readonly clock: Clock;
  readonly maxPageBytes: number;
  /** Between two calls to one host, in milliseconds; default 200. */
  readonly delayMs?: number;
  /** The most of a site's crawl-delay that is heeded, in milliseconds; default 10,000. */
  readonly maxDelayMs?: number;
  /** Default 2,000. */
  readonly retryMs?: number;
}

/** What fetching needs, shared by all crawls of the process so that their calls to one host keep their distance. */
export function createWebParts(options: WebPartsOptions): FetchingParts & { stop(): Promise<void> } {
  const { client, clock, maxPageBytes, delayMs = 200, maxDelayMs = 10_000, retryMs = 2_000 } = options;
  const reader = createPageReader();
  return {
    client,
    reader,
    robots: createRobotsRules({ client, clock, delayMs, maxDelayMs }),
    turns: createHostTurns(clock),
    maxPageBytes,
    retryMs,
    async stop() {
      await reader.stop();
      await client.stop();
    },
  };
}
