import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskSettlements } from '../adapters/celery/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { DEFAULT_TENANT_ID } from './first-start-names.ts';
import { createTaskSettlements } from './task-settlements.ts';

const never = new AbortController().signal;
const noted = (act: () => Promise<void>, note = 'done') => ({ note, act });
const nothing = noted(async () => {});

const SLOW_MS = 60_000;

describe('what is called after tasks', () => {
  let folder: string;
  let stores: readonly Store[];
  let [one, other]: TaskSettlements[] = [];
  /** One database, as two processes have it. */
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-settled-'));
    const open = () => openSqlite({ file: join(folder, 'store.db'), clock: systemClock, logger: silentLogger }).store;
    stores = [open(), open()];
    for (const store of stores) await store.start();
    await stores[0]?.tenants.create({ id: DEFAULT_TENANT_ID, name: 'default', createdAt: 1, updatedAt: 1 });
    [one, other] = stores.map((store) => settlementsOf(store));
    for (const store of stores) await live(store);
  }, SLOW_MS);
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.stop()));
    await rm(folder, { recursive: true, force: true });
  });
  const settlementsOf = (store: Pick<Store, 'forTenant'>) =>
    createTaskSettlements({ store, clock: systemClock, logger: silentLogger });
  const live = (store: Store) => store.system.leases.live({ now: Date.now(), expiresAt: Date.now() + 600_000 });

  it('is done once by processes that come to it at the same time, and later', async () => {
    let times = 0;
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const act = async (): Promise<void> => {
      times += 1;
      await held;
    };
    const both = [one, other, one].map((each, index) => each?.once('once', noted(act, `note ${index}`), never));
    await expect.poll(() => times).toBe(1);
    letGo();
    const [note, ...same] = await Promise.all(both);
    expect(note).toMatch(/^note \d$/);
    expect([...same, await other?.once('once', noted(act), never)]).toEqual([note, note, note]);
    expect(times).toBe(1);
    await other?.once('another', noted(act), never);
    expect(times).toBe(2);
  });

  it('is tried again when it failed, and by another when its process died', async () => {
    const fails = async (): Promise<void> => {
      throw new Error('The broker is away.');
    };
    await expect(one?.once('failing', noted(fails), never)).rejects.toThrow('The broker is away.');
    let times = 0;
    const act = async (): Promise<void> => {
      times += 1;
    };
    const [failing, left] = [endless(), endless()];
    void other?.once('failing', failing.what, never);
    void other?.once('left', left.what, never);
    await Promise.all([failing.isBegun, left.isBegun]);
    // Its process gives no sign of life any more.
    await stores[1]?.system.leases.end();
    await one?.once('failing', noted(act), never);
    await one?.once('left', noted(act), never);
    expect(times).toBe(2);
    for (const store of stores.slice(1)) await live(store);
  });

  it('is not waited for by a process that stops', async () => {
    const stopping = new AbortController();
    const { what, isBegun } = endless();
    void one?.once('waiting', what, never);
    await isBegun;
    const waiting = other?.once('waiting', nothing, stopping.signal);
    stopping.abort(new Error('stopping'));
    await expect(waiting).rejects.toThrow('stopping');
  });

  describe('while the database is away', () => {
    type Records = ReturnType<Store['forTenant']>['idempotency'];
    /** Of the first process. What it asks for first is lost: the question, or the answer alone. */
    const losing = (method: 'claim' | 'complete' | 'release', lost: 'question' | 'answer'): TaskSettlements => {
      let isFirst = true;
      const lossy = (records: Records): Records => ({
        ...records,
        async [method](...given: unknown[]) {
          const isLost = isFirst;
          isFirst = false;
          const ask = records[method] as (...those: unknown[]) => Promise<unknown>;
          const answer = isLost && lost === 'question' ? null : await ask(...given);
          if (isLost) throw new Error('The database is away.');
          return answer;
        },
      });
      return settlementsOf({
        forTenant(id) {
          const tenant = (stores[0] as Store).forTenant(id);
          return { ...tenant, idempotency: lossy(tenant.idempotency) };
        },
      });
    };

    it.each(['question', 'answer'] as const)('is noted when it is back: the lost %s', async (lost) => {
      const note = await losing('complete', lost).once(
        `noted ${lost}`,
        noted(async () => {}, 'first'),
        never,
      );
      expect(note).toBe('first');
      expect(await other?.once(`noted ${lost}`, nothing, never)).toBe('first');
    });

    it.each(['question', 'answer'] as const)('is claimed when it is back: the lost %s', async (lost) => {
      let times = 0;
      const act = async (): Promise<void> => {
        times += 1;
      };
      const lossy = losing('claim', lost);
      await Promise.all([1, 2].map(() => lossy.once(`claimed ${lost}`, noted(act), never)));
      expect(times).toBe(1);
    });

    it.each(['question', 'answer'] as const)('is left to others when it is back: the lost %s', async (lost) => {
      const lossy = losing('release', lost);
      const fails = noted(() => Promise.reject(new Error('The broker is away.')));
      await expect(lossy.once(`left ${lost}`, fails, never)).rejects.toThrow('The broker is away.');
      expect(
        await other?.once(
          `left ${lost}`,
          noted(async () => {}, 'other'),
          never,
        ),
      ).toBe('other');
      expect(await lossy.once(`left ${lost}`, nothing, never)).toBe('other');
    });

    it('is not asked for any more by a process that stops', async () => {
      const stopping = new AbortController();
      let asked = (): void => {};
      const isAsked = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const claim = async (): Promise<never> => {
        asked();
        throw new Error('The database is away.');
      };
      const away = settlementsOf({ forTenant: () => ({ idempotency: { claim } }) as never });
      const waiting = away.once('stopping', nothing, stopping.signal);
      await isAsked;
      stopping.abort(new Error('stopping'));
      await expect(waiting).rejects.toThrow();
    });
  });
});

/** What never ends, and says when it has begun. */
function endless() {
  let begun = (): void => {};
  const isBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const what = noted(() => {
    begun();
    return new Promise(() => {});
  });
  return { what, isBegun };
}
