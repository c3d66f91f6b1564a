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

/** What fetches pages of the web. */
export interface ComposedWeb {
  readonly parts: FetchingParts;
  /** To be stopped after whoever fetches. */
  readonly lifecycle: Lifecycle;
}

export function composeWeb({
  config,
  version,
  clock,
}: {
  readonly config: Pick<Config, 'crawlAllowPrivateHosts' | 'maxUploadBytes'>;
  readonly version: string;
  readonly clock: Clock;
}): ComposedWeb {
  const parts = createWebParts({
    client: createGuardedWebClient({
      allowPrivateHosts: config.crawlAllowPrivateHosts,
      userAgent: `Mozilla/5.0 (compatible; ${CRAWLER_NAME}/${version})`,
    }),
    clock,
    maxPageBytes: Math.min(config.maxUploadBytes, PAGE_BYTES),
  });
  return { parts, lifecycle: { name: 'web client', start: async () => {}, stop: () => parts.stop() } };
}

/** What has pages fetched again when it is time. */
export function composeSchedule(parts: {
  readonly store: Store;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
}): Lifecycle {
  const { store, announce, clock, createId, logger } = parts;
  const trainAgain = createTrainAgain({ clock, createId });
  return createSyncSchedule({ store, trainAgain, announce, clock, logger, random: Math.random });
}
