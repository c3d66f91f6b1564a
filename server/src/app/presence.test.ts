import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type Lifecycle, type ManualClock, silentLogger } from '../kernel/index.ts';
import { LIVES } from '../store/index.ts';
import { createPresence, type PresenceOptions } from './presence.ts';

/** The rows that processes share. Its promises settle without real time, so that the clock of the test decides. */
function createLeaseRows() {
  const rows = new Map<string, { readonly owner: string; readonly expiresAt: number }>();
  let processes = 0;
  return function open(): PresenceOptions['leases'] {
    processes += 1;
    const owner = String(processes);
    const acquire = async (name: string, { now, expiresAt }: { now: number; expiresAt: number }) => {
      const row = rows.get(name);
      if (row !== undefined && row.owner !== owner && row.expiresAt > now) return false;
      rows.set(name, { owner, expiresAt });
      return true;
    };
    const release = async (name: string) => {
      if (rows.get(name)?.owner === owner) rows.delete(name);
    };
    return {
      acquire,
      release,
      live: async (times) => void (await acquire(LIVES + owner, times)),
      end: () => release(LIVES + owner),
      endAll: async () => rows.clear(),
      ofOthers: async (beginning, now) =>
        [...rows]
          .filter(([name, row]) => name.startsWith(beginning) && row.owner !== owner && row.expiresAt > now)
          .map(([name, { expiresAt }]) => ({ name, expiresAt })),
    };
  };
}

describe('presence of processes on one database', () => {
  let clock: ManualClock;
  let openLeases: () => PresenceOptions['leases'];
  beforeEach(() => {
    clock = createManualClock();
    openLeases = createLeaseRows();
  });

  /** A process of its own; `kill` ends it as a signal would, which tells nobody. */
  function open({ isAlone }: { readonly isAlone: boolean }): Lifecycle & { kill(): void } {
    const leases = openLeases();
    let isKilled = false;
    const presence = createPresence({
      ...{ isSole: false, isAlone, clock, logger: silentLogger },
      leases: {
        ...leases,
        acquire: async (...of) => !isKilled && leases.acquire(...of),
        live: async (times) => (isKilled ? undefined : leases.live(times)),
      },
    });
    return {
      ...presence,
      kill() {
        isKilled = true;
      },
    };
  }

  /** Time passes until it is settled; how long that took. */
  async function outcomeOf(work: Promise<void>): Promise<{ readonly failure: unknown; readonly tookMs: number }> {
    const began = clock.now();
    let settled: { failure: unknown; tookMs: number } | null = null;
    const settle = (failure: unknown) => {
      settled = { failure, tookMs: clock.now() - began };
    };
    work.then(() => settle(null), settle);
    for (let turn = 0; settled === null && turn < 10_000; turn += 1) {
      await clock.advance(turn % 5 === 4 ? 250 : 0);
    }
    if (settled === null) throw new Error('never settled');
    return settled;
  }

  const start = async (options: { readonly isAlone: boolean }) => {
    const presence = open(options);
    return { presence, ...(await outcomeOf(presence.start())) };
  };

  it('lets one process have its vectors in memory', async () => {
    const { presence, failure } = await start({ isAlone: true });
    expect(failure).toBeNull();
    await presence.stop();
    expect((await start({ isAlone: true })).failure).toBeNull();
  });

  it.each([
    { first: true, second: false, says: 'A process with VECTOR_STORE=embedded works on this database' },
    { first: false, second: true, says: 'another process works on this database' },
    { first: true, second: true, says: 'another process works on this database' },
  ])(
    'refuses a second process when one of them has (first $first, second $second)',
    async ({ first, second, says }) => {
      const one = await start({ isAlone: first });
      expect(one.failure).toBeNull();
      const other = await start({ isAlone: second });
      expect(other.failure).toMatchObject({ code: 'configuration_invalid', message: expect.stringContaining(says) });
      expect((other.failure as Error).message).toContain('VECTOR_STORE=pgvector');
      expect(other.tookMs).toBeLessThan(6_000);
      await other.presence.stop();
      await one.presence.stop();
      expect((await start({ isAlone: second })).failure).toBeNull();
    },
  );

  it('lets any number be there that have none in memory', async () => {
    for (let count = 0; count < 3; count += 1) expect((await start({ isAlone: false })).failure).toBeNull();
  });

  it.each([{ isAlone: true }, { isAlone: false }])('waits for one that was killed ($isAlone)', async (next) => {
    const { presence } = await start({ isAlone: true });
    presence.kill();
    await clock.advance(5_000);
    const { failure, tookMs } = await start(next);
    expect(failure).toBeNull();
    expect(tookMs).toBeLessThan(16_000);
  });

  it('never lets two start at once', async () => {
    const both = [open({ isAlone: true }), open({ isAlone: false })];
    const outcomes = await outcomeOf(
      Promise.allSettled(both.map((presence) => presence.start())).then((results) => {
        const started = results.filter(({ status }) => status === 'fulfilled').length;
        if (started > 1) throw new Error('both started');
      }),
    );
    expect(outcomes.failure).toBeNull();
  });
});
