import type { Clock, Logger } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { ADMIN_KEY_HASH } from './first-start-names.ts';

/** How long what was read is believed, in milliseconds. */
const MAX_AGE_MS = 1_000;

export interface AdminKeyHashesOptions {
  readonly store: { readonly system: Pick<Store['system'], 'getSetting'> };
  /** The hash of the installation's admin key at this start; null: there is none yet. */
  readonly atStart: string | null;
  /** Hashes of keys that are valid in this process alone. */
  readonly own: readonly string[];
  /** Whether the key of this start is from `CHATSPHERE_ADMIN_KEY`: then it is logged when another takes its place. */
  readonly isConfigured: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The hashes of the admin keys that are valid now. An installation has one, whose hash is in its database, so that it is
 * the same one at every process; it is read at most once a second, and the last one holds while it cannot be read.
 */
export function createAdminKeyHashes(options: AdminKeyHashesOptions): () => Promise<readonly string[]> {
  const { store, atStart, own, isConfigured, clock, logger } = options;
  let hash = atStart;
  let readAt = clock.now();
  let reading: Promise<void> | null = null;
  let isReplaced = false;

  async function read(): Promise<void> {
    try {
      hash = await store.system.getSetting(ADMIN_KEY_HASH);
    } catch (error) {
      logger.warn({ error }, 'The admin key could not be read; the one of before holds until then');
    }
    readAt = clock.now();
    if (!isConfigured || isReplaced || hash === atStart) return;
    isReplaced = true;
    logger.warn(
      {},
      'Another process has set another CHATSPHERE_ADMIN_KEY: the one of this process is not valid any more',
    );
  }

  return async () => {
    const age = clock.now() - readAt;
    if (age < 0 || age >= MAX_AGE_MS) {
      reading ??= read().finally(() => {
        reading = null;
      });
      await reading;
    }
    return hash === null ? own : [...own, hash];
  };
}
