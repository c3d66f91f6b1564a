import { beforeAll, describe, expect, it } from 'vitest';
import { LIVES } from './lease-ports.ts';
import type { Store } from './ports.ts';
import { createSamples, createTenantWithBot } from './store-samples.contract.ts';

const samples = createSamples('lea');
const SECOND = 1_000;

/** Leases, marks and claimed keys among processes; `openTwo` opens one database as two processes would. */
export function describeLeaseContract(name: string, openTwo: () => Promise<readonly [Store, Store]>): void {
  describe(`leases: ${name}`, () => {
    let stores: readonly [Store, Store];
    beforeAll(async () => {
      stores = await openTwo();
    });
    const leasesOf = () => stores.map(({ system }) => system.leases) as unknown as [Leases, Leases];
    const at = (now: number, forMs = SECOND) => ({ now, expiresAt: now + forMs });

    it('gives a lease to one of many who ask at once', async () => {
      const both = leasesOf();
      const asked = Array.from({ length: 20 }, (_, count) => both[count % 2 === 0 ? 0 : 1].acquire('race', at(5)));
      const given = await Promise.all(asked);
      // Its holder has it extended as often as it asks.
      expect(given.filter((isGiven) => isGiven)).toHaveLength(10);
      expect(new Set(given.map((isGiven, count) => isGiven === (count % 2 === 0))).size).toBe(1);
    });

    it('keeps it for its holder, who may extend it, until it expires or is given back', async () => {
      const [one, other] = leasesOf();
      expect(await one.acquire('turn', at(0))).toBe(true);
      expect(await other.acquire('turn', at(500))).toBe(false);
      expect(await one.acquire('turn', at(900))).toBe(true);
      expect(await other.acquire('turn', at(1_500))).toBe(false);
      expect(await other.acquire('turn', at(1_900))).toBe(true);
      expect(await one.acquire('turn', at(2_000))).toBe(false);
      await one.release('turn');
      expect(await one.acquire('turn', at(2_000))).toBe(false);
      await other.release('turn');
      expect(await one.acquire('turn', at(2_000))).toBe(true);
    });

    it('finds marks whose process is dead, and no others', async () => {
      const [one, other] = leasesOf();
      await one.live(at(0));
      await one.mark('work/1');
      await one.mark('work/2');
      await one.mark('play/1');
      expect(await other.abandoned('work/', 999)).toEqual([]);
      expect(await other.abandoned('work/', 1_000)).toEqual(['work/1', 'work/2']);
      await one.live(at(900));
      expect(await other.abandoned('work/', 1_000)).toEqual([]);
      await one.end();
      await other.unmark('work/1');
      expect(await other.abandoned('work/', 1_000)).toEqual(['work/2']);
    });

    it('says what other processes hold, and which of them live', async () => {
      const [one, other] = leasesOf();
      await one.live(at(5_000));
      await one.acquire('only/one', at(5_000));
      await one.mark('only/mark');
      expect(await other.ofOthers('only/', 5_999)).toEqual([
        { name: 'only/one', owner: one.processId, expiresAt: 6_000 },
      ]);
      expect(await other.ofOthers('only/', 6_000)).toEqual([]);
      expect(await one.ofOthers('only/', 5_000)).toEqual([]);
      expect(await other.ofOthers(LIVES, 5_500)).toMatchObject([{ expiresAt: 6_000 }]);
      await one.end();
      expect(await other.ofOthers(LIVES, 5_500)).toEqual([]);
      await one.release('only/one');
    });

    it('removes what has long expired, and no marks', async () => {
      const [one, other] = leasesOf();
      await one.live(at(10));
      await one.acquire('old', at(10));
      await one.acquire('recent', at(2_000));
      await one.mark('old/mark');
      expect(await other.removeExpired(2_000)).toBeGreaterThanOrEqual(2);
      expect(await other.removeExpired(2_000)).toBe(0);
      expect(await other.abandoned('old/', 2_000)).toEqual(['old/mark']);
      expect(await other.acquire('recent', at(2_500))).toBe(false);
      await one.release('recent');
    });

    it('lets a key that a dead process had claimed be claimed again, and no other', async () => {
      const { tenant } = await createTenantWithBot(stores[0], samples);
      const [one, other] = [tenant.idempotency, stores[1].forTenant(tenant.tenantId).idempotency];
      const claim = (key: string, createdAt: number) => ({ key, fingerprint: 'f', createdAt });
      const [leases, others] = leasesOf();
      await leases.live(at(0));
      await others.live(at(0, 10 * SECOND));
      for (const key of ['runs', 'purged', 'answered']) expect(await one.claim(claim(key, 10))).toBeNull();
      await one.complete('answered', { status: 200, body: '{}' });
      expect(await other.claim(claim('runs', 900))).toMatchObject({ state: 'running' });
      expect(await other.claim(claim('runs', 1_100))).toBeNull();
      expect(await one.claim(claim('runs', 1_200))).toMatchObject({ state: 'running', createdAt: 1_100 });
      // Who was taken for dead and is not must neither free nor answer what is another's now.
      await one.release('runs');
      await one.complete('runs', { status: 500, body: 'late' });
      expect(await one.claim(claim('runs', 1_300))).toMatchObject({ state: 'running', createdAt: 1_100 });
      expect(await other.claim(claim('answered', 1_400))).toMatchObject({ state: 'done' });
    });

    it('says of a key that a dead process had claimed for something with a name that it may be gone on with', async () => {
      const { tenant } = await createTenantWithBot(stores[0], samples);
      const [one, other] = [tenant.idempotency, stores[1].forTenant(tenant.tenantId).idempotency];
      const claim = (body: string, createdAt: number) => ({ key: 'named', fingerprint: 'f', body, createdAt });
      const [leases, others] = leasesOf();
      await leases.live(at(0));
      await others.live(at(0, 10 * SECOND));
      expect(await one.claim(claim('msg_1', 10))).toBeNull();
      expect(await other.claim(claim('msg_2', 900))).not.toHaveProperty('isAbandoned');
      expect(await other.claim(claim('msg_2', 1_100))).toMatchObject({ body: 'msg_1', isAbandoned: true });
      expect(await other.passOn('named', { from: 'msg_1', to: { body: 'msg_1', createdAt: 1_200 } })).toBe(true);
      expect(await one.claim(claim('msg_3', 1_300))).not.toHaveProperty('isAbandoned');
      await other.complete('named', { status: 200, body: 'msg_1' });
      expect(await one.claim(claim('msg_3', 1_400))).toMatchObject({ state: 'done', body: 'msg_1' });
    });

    it('ends all leases and lives, and leaves the marks', async () => {
      const [one, other] = leasesOf();
      await one.live(at(0));
      await one.acquire('held', at(0));
      await one.mark('ended/1');
      await other.endAll();
      expect(await other.acquire('held', at(1))).toBe(true);
      expect(await other.abandoned('ended/', 1)).toEqual(['ended/1']);
    });
  });
}

type Leases = Store['system']['leases'];
