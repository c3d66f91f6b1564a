import type { Clock } from '../../kernel/index.ts';
import {
  type CircuitStates,
  createMemoryCircuitStates,
  type MessageBus,
  type OpenCircuit,
} from '../../resilience/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createScript } from './redis-script.ts';
import { sharedKey } from './redis-settings.ts';

/** Longer than any circuit stays open. */
const KEEP_MS = 3_600_000;
const TOPIC = 'circuits';

/** The probe belongs to a circuit that is open, and to one claimant until its time is over. */
const CLAIM = createScript(`
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
local claimed = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if claimed > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1`);

export interface RedisCircuitStates extends CircuitStates {
  /** Reads what all processes know; called every few seconds for what messages missed. Never rejects. */
  refresh(): Promise<void>;
}

type Change = { readonly key: string; readonly circuit: OpenCircuit | null };

/**
 * Circuits of all processes, in one hash. Reads are answered from a mirror in memory that messages keep up to date. A
 * Redis that comes back empty is told what this process knows, so that nothing is closed by that.
 */
export function createRedisCircuitStates({
  redis,
  bus,
  clock,
}: {
  readonly redis: RedisConnection;
  readonly bus: MessageBus;
  readonly clock: Clock;
}): RedisCircuitStates {
  const circuits = sharedKey(redis.settings, 'circuits');
  const probes = sharedKey(redis.settings, 'circuit-probes');
  const mirror = createMemoryCircuitStates(clock);
  /** Circuits of the mirror, and whether Redis has been told. */
  const open = new Map<string, { readonly circuit: OpenCircuit; isShared: boolean }>();

  function mirrorChange({ key, circuit }: Change, isShared: boolean): void {
    if (circuit === null) {
      open.delete(key);
      void mirror.close(key);
      return;
    }
    open.set(key, { circuit, isShared });
    void mirror.open(key, circuit);
  }

  async function share(change: Change): Promise<void> {
    const { key, circuit } = change;
    await redis.ask(
      'circuit_change',
      async (client) => {
        const steps = client.multi().hdel(probes, key);
        if (circuit === null) steps.hdel(circuits, key);
        else steps.hset(circuits, key, JSON.stringify(circuit)).pexpire(circuits, KEEP_MS);
        await steps.exec();
        const own = open.get(key);
        if (own !== undefined && own.circuit === circuit) own.isShared = true;
        bus.publish(TOPIC, JSON.stringify(change));
      },
      () => {},
    );
  }

  async function refresh(): Promise<void> {
    const found = await redis.ask<Readonly<Record<string, string>> | null>(
      'circuit_read',
      (client) => client.hgetall(circuits),
      () => null,
    );
    if (found === null) return;
    const isEmptied = Object.keys(found).length === 0;
    for (const [key, { circuit, isShared }] of [...open]) {
      if (key in found) continue;
      // Others say when they close one; a Redis that holds none at all may have been emptied.
      if ((isShared && !isEmptied) || isOld(circuit)) mirrorChange({ key, circuit: null }, true);
      else await share({ key, circuit });
    }
    for (const [key, text] of Object.entries(found)) {
      const circuit = parseCircuit(text);
      if (circuit === null || isOld(circuit)) await share({ key, circuit: null });
      if (circuit === null || isOld(circuit) || JSON.stringify(open.get(key)?.circuit) === text) continue;
      const own = open.get(key);
      if (own === undefined || own.isShared) mirrorChange({ key, circuit }, true);
      else await share({ key, circuit: own.circuit });
    }
  }

  function isOld({ until }: OpenCircuit): boolean {
    return until + KEEP_MS < clock.now();
  }

  bus.subscribe(TOPIC, {
    message(text) {
      const { key, circuit } = JSON.parse(text) as Change;
      if (JSON.stringify(open.get(key)?.circuit ?? null) !== JSON.stringify(circuit))
        mirrorChange({ key, circuit }, true);
    },
    gap: () => void refresh(),
  });
  redis.onUp(() => void refresh());

  return {
    read: (key) => mirror.read(key),
    async open(key, circuit) {
      mirrorChange({ key, circuit }, false);
      await share({ key, circuit });
    },
    async close(key) {
      mirrorChange({ key, circuit: null }, true);
      await share({ key, circuit: null });
    },
    claimProbe(key, expiresAt) {
      return redis.ask<boolean>(
        'circuit_claim',
        async (client) => {
          const args = [key, clock.now(), expiresAt, KEEP_MS];
          return (await CLAIM.run(client, { keys: [circuits, probes], args })) === 1;
        },
        async () => mirror.claimProbe(key, expiresAt),
      );
    },
    async releaseProbe(key) {
      void mirror.releaseProbe(key);
      await redis.ask<unknown>(
        'circuit_release',
        (client) => client.hdel(probes, key),
        () => null,
      );
    },
    refresh,
  };
}

function parseCircuit(text: string): OpenCircuit | null {
  try {
    return JSON.parse(text) as OpenCircuit;
  } catch {
    return null;
  }
}
