import { describe, expect, it } from 'vitest';
import { createManualClock, silentLogger } from '../kernel/index.ts';
import type { Store, SystemStore } from '../store/index.ts';
import { createHousekeeping } from './housekeeping.ts';

describe('housekeeping', () => {
  it('clears at the start and every hour, goes on after a failure, and stops', async () => {
    const clock = createManualClock();
    const done: string[] = [];
    const system = {
      purgeIdempotency: async (olderThan: number) => {
        done.push(`purge ${clock.now() - olderThan}`);
        if (done.length === 2) throw new Error('database away');
        return 1;
      },
      leases: {
        removeExpired: async (before: number) => {
          done.push(`leases ${clock.now() - before}`);
          return 1;
        },
      },
      purgeSyncRuns: async () => 0,
      purgeLexicalIndexes: async () => 0,
      blobHashesInUse: async () => new Set(['used']),
      jobs: {
        removeEnded: async (before: { readonly succeeded: number; readonly failed: number }) => {
          done.push(`jobs ${clock.now() - before.succeeded} ${clock.now() - before.failed}`);
          return 3;
        },
      },
      findUnfinished: async (before: number) => {
        done.push(`unfinished ${clock.now() - before}`);
        return [{ tenantId: 'tnt_1', botId: 'bot_1', documentIds: ['doc_1', 'doc_2'] }];
      },
    } as unknown as SystemStore;
    const remove = async (ids: readonly string[]) => void done.push(`delete ${ids}`);
    const store = { system, forTenant: () => ({ documents: { delete: remove } }) } as unknown as Store;
    const vectors = { deleteDocuments: (_: unknown, ids: readonly string[]) => remove(ids) };
    const blobs = {
      sweep: async (inUse: ReadonlySet<string>, olderThan: number) => {
        done.push(`sweep ${[...inUse]} ${clock.now() - olderThan}`);
        return 0;
      },
    };
    const housekeeping = createHousekeeping({
      store,
      blobs,
      vectors,
      indexes: { keys: async () => ['g'] },
      clock,
      logger: silentLogger,
    });
    await housekeeping.start();
    await clock.advance(0);
    expect(done).toEqual(['leases 3600000', 'purge 86400000']);
    await clock.advance(3_600_000);
    await clock.advance(0);
    for (let turn = 0; turn < 10; turn += 1) await clock.advance(0);
    const day = 86_400_000;
    expect(done.slice(2)).toEqual([
      'leases 3600000',
      'purge 86400000',
      'sweep used 3600000',
      `jobs ${7 * day} ${30 * day}`,
      `unfinished ${7 * day}`,
      'delete doc_1,doc_2',
      'delete doc_1,doc_2',
    ]);
    housekeeping.clearSoon();
    housekeeping.clearSoon();
    await clock.advance(10_000);
    for (let turn = 0; turn < 10; turn += 1) await clock.advance(0);
    expect(done.slice(9, 12)).toEqual(['leases 3600000', 'purge 86400000', 'sweep used 3600000']);
    const calls = done.length;
    await housekeeping.stop();
    housekeeping.clearSoon();
    await clock.advance(10_000);
    expect(done).toHaveLength(calls);
  });
});
