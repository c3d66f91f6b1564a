import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type Lifecycle, type ManualClock, silentLogger } from '../kernel/index.ts';
import { createLeaseRows } from './lease-rows.contract.ts';
import { createPresence, type PresenceOptions } from './presence.ts';

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

  it.each([
    { first: true, second: true },
    { first: true, second: false },
    { first: false, second: true },
  ])('lets exactly one of two start that start at once (first $first, second $second)', async ({ first, second }) => {
    const both = [open({ isAlone: first }), open({ isAlone: second })];
    const started: number[] = [];
    const starting = both.map(async (presence, number) => {
      try {
        await presence.start();
        started.push(number);
      } catch {
        await presence.stop();
      }
    });
    expect((await outcomeOf(Promise.all(starting).then(() => {}))).failure).toBeNull();
    expect(started).toEqual([0]);
  });
});
