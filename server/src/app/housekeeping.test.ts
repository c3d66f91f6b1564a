import { describe, expect, it } from 'vitest';
import { createManualClock, silentLogger } from '../kernel/index.ts';
import type { SystemStore } from '../store/index.ts';
import { createHousekeeping } from './housekeeping.ts';

describe('housekeeping', () => {
  it('clears at the start and every hour, goes on after a failure, and stops', async () => {
    const clock = createManualClock();
    const done: string[] = [];
    const system = {
      purgeIdempotency: async (olderThan: number) => {
        done.push(`purge ${clock.now() - olderThan}`);
        if (done.length === 1) throw new Error('database away');
        return 1;
      },
      purgeSyncRuns: async () => 0,
      blobHashesInUse: async () => new Set(['used']),
    } as unknown as SystemStore;
    const blobs = {
      sweep: async (inUse: ReadonlySet<string>, olderThan: number) => {
        done.push(`sweep ${[...inUse]} ${clock.now() - olderThan}`);
        return 0;
      },
    };
    const housekeeping = createHousekeeping({ store: { system }, blobs, clock, logger: silentLogger });
    await housekeeping.start();
    await clock.advance(0);
    expect(done).toEqual(['purge 86400000']);
    await clock.advance(3_600_000);
    await clock.advance(0);
    expect(done).toEqual(['purge 86400000', 'purge 86400000', 'sweep used 3600000']);
    await housekeeping.stop();
  });
});
