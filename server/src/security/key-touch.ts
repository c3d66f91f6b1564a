import { LRUCache } from 'lru-cache';
import type { Clock, Logger } from '../kernel/index.ts';
import type { ApiKey } from '../store/index.ts';

export interface KeyTouchOptions {
  write(ids: readonly string[], now: number): Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A key's time of last use is written at most this often, in milliseconds. */
  readonly everyMs?: number;
  /** How long uses are gathered into one write, in milliseconds. */
  readonly gatherMs?: number;
}

/** Notes when keys were last used, many in one write, off the way of the request. */
export function createKeyTouch(options: KeyTouchOptions): { used(key: ApiKey): void } {
  const { write, clock, logger, everyMs = 60_000, gatherMs = 1_000 } = options;
  const writtenAt = new LRUCache<string, number>({ max: 10_000 });
  const waiting = new Set<string>();

  function used(key: ApiKey): void {
    const now = clock.now();
    const last = writtenAt.get(key.id) ?? key.lastUsedAt;
    if (last !== null && Math.abs(now - last) < everyMs) return;
    writtenAt.set(key.id, now);
    waiting.add(key.id);
    if (waiting.size === 1) writeSoon();
  }

  function writeSoon(): void {
    clock
      .sleep(gatherMs)
      .then(() => {
        const ids = [...waiting];
        waiting.clear();
        return write(ids, clock.now());
      })
      .catch((error: unknown) => logger.debug({ error }, 'Could not note when API keys were last used'));
  }

  return { used };
}
