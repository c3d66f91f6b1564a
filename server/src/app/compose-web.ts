import { createGuardedWebClient } from '../adapters/web-client/index.ts';
import type { Clock, IdMaker, Lifecycle, Logger } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import {
  CRAWLER_NAME,
  createSyncSchedule,
  createTrainAgain,
  createWebParts,
  type FetchingParts,
} from '../training/index.ts';
import type { Config } from './config.ts';

/** Larger pages are left out; files of that size are better uploaded. */
const PAGE_BYTES = 25 * 1024 ** 2;

export interface WebOptions {
  readonly config: Pick<Config, 'crawlAllowPrivateHosts' | 'maxUploadBytes'>;
  readonly version: string;
  readonly store: Store;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
}

/** What fetches pages of the web, and what does so again when it is time. */
export function composeWeb({ config, version, store, announce, clock, createId, logger }: WebOptions): {
  readonly parts: FetchingParts;
  /** To be stopped after whoever fetches. */
  readonly lifecycle: Lifecycle;
  readonly schedule: Lifecycle;
} {
  const parts = createWebParts({
    client: createGuardedWebClient({
      allowPrivateHosts: config.crawlAllowPrivateHosts,
      userAgent: `Mozilla/5.0 (compatible; ${CRAWLER_NAME}/${version})`,
    }),
    clock,
    maxPageBytes: Math.min(config.maxUploadBytes, PAGE_BYTES),
  });
  const trainAgain = createTrainAgain({ clock, createId });
  return {
    parts,
    lifecycle: { name: 'web client', start: async () => {}, stop: () => parts.stop() },
    schedule: createSyncSchedule({ store, trainAgain, announce, clock, logger, random: Math.random }),
  };
}
