import type { Clock } from '../kernel/index.ts';
import type { CircuitStates, OpenCircuit } from './circuit-states.ts';

/** Durations in milliseconds. */
export interface CircuitPolicy {
  /** So many failures in a row open a circuit. */
  readonly failuresInARow: number;
  /** Or this share of failures (0..1) among the calls of about the last `windowMs`, when there were `leastCalls` at least. */
  readonly failureShare: number;
  readonly leastCalls: number;
  readonly windowMs: number;
  /** How long it stays open at first; doubled with every probe that fails, up to `maxOpenMs`. */
  readonly openMs: number;
  readonly maxOpenMs: number;
  /** How long a probe may take before another call may be one. */
  readonly probeMs: number;
}

export type CircuitState = 'closed' | 'half-open' | 'open';

export interface CircuitBreakerOptions {
  readonly states: CircuitStates;
  readonly clock: Clock;
  readonly policy?: Partial<CircuitPolicy>;
  /** Uniform in [0, 1): spreads the ends of open times, so that processes do not probe in step. */
  readonly random?: () => number;
  readonly onChange?: (key: string, state: CircuitState, reason: string) => void;
}

/** Leave to make one call. Exactly one of `succeeded`, `failed` and `released` must be told, unless `coolDown` was. */
export interface CircuitPermit {
  /** True when the call decides whether others may follow. */
  readonly isProbe: boolean;
  /** The call has begun to go well: closes the circuit if it was the probe. May be told before the call has ended. */
  begun(): void;
  /** The call went well to its end. */
  succeeded(): void;
  failed(reason: string): void;
  /** The call showed nothing about the other side: it was cancelled, or failed by its own fault. */
  released(): void;
}

export interface CircuitBreaker {
  /** Leave to call, or null while the circuit is open or its probe is under way. A promise only when the states' is one. */
  enter(key: string): CircuitPermit | null | Promise<CircuitPermit | null>;
  /** When a call may be made again (milliseconds since 1970); null: now. A probe under way counts as now. */
  closedUntil(key: string): number | null;
  state(key: string): CircuitState;
  /** Opens the circuit whatever was counted: the other side said that, and for how long, it will not serve. */
  coolDown(
    key: string,
    rest: { readonly milliseconds: number; readonly after: 'probe' | 'close'; readonly reason: string },
  ): void;
}

const DEFAULT_POLICY: CircuitPolicy = {
  failuresInARow: 5,
  failureShare: 0.5,
  leastCalls: 20,
  windowMs: 10_000,
  openMs: 2000,
  maxOpenMs: 30_000,
  probeMs: 30_000,
};

/** Counts of calls, kept in two halves of the window so that old calls are forgotten at no cost. */
interface Tally {
  inARow: number;
  since: number;
  calls: number;
  failures: number;
  earlierCalls: number;
  earlierFailures: number;
}

const MOST_TALLIES = 10_000;

/**
 * Circuit breakers (Nygard, "Release It!"), one a key: closed while calls go well; open, when nobody is let through, after
 * too many failures; half-open after a time, when exactly one call is let through and decides. A closed circuit costs a
 * look into a map. Late results of calls that were begun before a circuit opened do not close it.
 */
export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { states, clock, random = Math.random, onChange = () => {} } = options;
  const policy = { ...DEFAULT_POLICY, ...options.policy };
  const tallies = new Map<string, Tally>();

  function tallyOf(key: string): Tally {
    const now = clock.now();
    let tally = tallies.get(key);
    if (tally === undefined) {
      tally = { inARow: 0, since: now, calls: 0, failures: 0, earlierCalls: 0, earlierFailures: 0 };
      tallies.set(key, tally);
      if (tallies.size > MOST_TALLIES) tallies.delete(tallies.keys().next().value ?? key);
    }
    const age = now - tally.since;
    if (age >= policy.windowMs / 2) {
      const isRecent = age < policy.windowMs;
      tally.earlierCalls = isRecent ? tally.calls : 0;
      tally.earlierFailures = isRecent ? tally.failures : 0;
      tally.calls = 0;
      tally.failures = 0;
      tally.since = now;
    }
    return tally;
  }

  function open(key: string, circuit: OpenCircuit): void {
    tallies.delete(key);
    settle(states.open(key, circuit));
    onChange(key, 'open', circuit.reason);
  }

  function close(key: string): void {
    tallies.delete(key);
    settle(states.close(key));
    onChange(key, 'closed', 'recovered');
  }

  function openAfterFailure(key: string, reason: string): void {
    const times = (states.read(key)?.times ?? 0) + 1;
    const fullMs = Math.min(policy.maxOpenMs, policy.openMs * 2 ** (times - 1));
    open(key, { until: clock.now() + fullMs * (0.75 + random() / 2), after: 'probe', reason, times });
  }

  function countFailure(key: string, reason: string): void {
    // The circuit was opened by others while this call was under way.
    if (states.read(key) !== null) return;
    const tally = tallyOf(key);
    tally.inARow += 1;
    tally.calls += 1;
    tally.failures += 1;
    const calls = tally.calls + tally.earlierCalls;
    const failures = tally.failures + tally.earlierFailures;
    const isBad = calls >= policy.leastCalls && failures >= calls * policy.failureShare;
    if (isBad || tally.inARow >= policy.failuresInARow) openAfterFailure(key, reason);
  }

  function countSuccess(key: string): void {
    const tally = tallyOf(key);
    tally.inARow = 0;
    tally.calls += 1;
  }

  function permit(key: string, probes: boolean): CircuitPermit {
    let isProbe = probes;
    const endProbe = (): boolean => {
      const was = isProbe;
      isProbe = false;
      return was;
    };
    return {
      isProbe: probes,
      begun() {
        if (endProbe()) close(key);
      },
      succeeded() {
        if (endProbe()) close(key);
        countSuccess(key);
      },
      failed(reason) {
        if (endProbe()) openAfterFailure(key, reason);
        else countFailure(key, reason);
      },
      released() {
        if (endProbe()) settle(states.releaseProbe(key));
      },
    };
  }

  function enterHalfOpen(key: string): CircuitPermit | null | Promise<CircuitPermit | null> {
    const admit = (isMine: boolean): CircuitPermit | null => {
      if (!isMine) return null;
      onChange(key, 'half-open', 'probe');
      return permit(key, true);
    };
    const claim = states.claimProbe(key, clock.now() + policy.probeMs);
    return typeof claim === 'boolean' ? admit(claim) : claim.then(admit);
  }

  return {
    enter(key) {
      const circuit = states.read(key);
      if (circuit === null) return permit(key, false);
      if (circuit.until > clock.now()) return null;
      if (circuit.after === 'probe') return enterHalfOpen(key);
      close(key);
      return permit(key, false);
    },
    closedUntil(key) {
      const circuit = states.read(key);
      return circuit === null || circuit.until <= clock.now() ? null : circuit.until;
    },
    state(key) {
      const circuit = states.read(key);
      if (circuit === null) return 'closed';
      if (circuit.until > clock.now()) return 'open';
      return circuit.after === 'probe' ? 'half-open' : 'closed';
    },
    coolDown(key, { milliseconds, after, reason }) {
      const known = states.read(key);
      const until = clock.now() + milliseconds;
      // Several calls may be told so at once: the longest rest counts.
      if (known === null || known.until < until) open(key, { until, after, reason, times: (known?.times ?? 0) + 1 });
    },
  };
}

/** A store that is away acts for this process alone; there is nothing to wait for and nobody to tell. */
function settle(done: void | Promise<void>): void {
  if (done instanceof Promise) done.catch(() => {});
}
