import type { Clock } from '../kernel/index.ts';
import type { CircuitStates, OpenCircuit } from './circuit-states.ts';

interface Kept {
  readonly circuit: OpenCircuit;
  /** Until when the probe is claimed (milliseconds since 1970); 0: it is not. */
  claimedUntil: number;
}

/** Beyond it the circuit that was opened longest ago is taken for closed. */
const MOST_CIRCUITS = 10_000;

/** The states of one process. */
export function createMemoryCircuitStates(clock: Clock): CircuitStates {
  const open = new Map<string, Kept>();
  return {
    read: (key) => open.get(key)?.circuit ?? null,
    open(key, circuit) {
      open.delete(key);
      open.set(key, { circuit, claimedUntil: 0 });
      if (open.size > MOST_CIRCUITS) open.delete(open.keys().next().value ?? key);
    },
    close: (key) => void open.delete(key),
    claimProbe(key, expiresAt) {
      const kept = open.get(key);
      if (kept === undefined || kept.claimedUntil > clock.now()) return false;
      kept.claimedUntil = expiresAt;
      return true;
    },
    releaseProbe(key) {
      const kept = open.get(key);
      if (kept !== undefined) kept.claimedUntil = 0;
    },
  };
}
