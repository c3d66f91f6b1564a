import type { AppError, Clock, Logger, Meter } from '../../kernel/index.ts';
import {
  type CircuitBreaker,
  type CircuitState,
  type CircuitStates,
  createCircuitBreaker,
} from '../../resilience/index.ts';
import { FAILURE_RULES, type FailureKind } from './failure-rules.ts';
import type { ModelTarget } from './model-target.ts';
import { circuitOf } from './model-target.ts';

/** What a process knows of how its models fare: shared by all chains, so that one bot's failures spare the others theirs. */
export interface ModelHealth {
  readonly circuits: CircuitBreaker;
  /** Lets a target rest if the failure asks for it. True: it rests, and its permit is spent. */
  rest(target: ModelTarget, kind: FailureKind, error: AppError): boolean;
  /** Takes down how long a model took to its first token. */
  took(model: string, milliseconds: number): void;
  /** The 95th percentile of the last first tokens, in milliseconds; null: too few to tell. */
  usualFirstTokenMs(model: string): number | null;
}

export interface ModelHealthOptions {
  readonly states: CircuitStates;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly random?: () => number;
}

/** A key that was refused or has no quota rests this long: somebody has to mend it, and nobody tells when. */
const KEY_REST_MS = 60_000;
/** A provider that asks for more is asked again after this. */
const LONGEST_REST_MS = 3_600_000;

const GAUGE: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2 };

const SAMPLES = 64;
const LEAST_SAMPLES = 16;
const MOST_MODELS = 1000;

export function createModelHealth(options: ModelHealthOptions): ModelHealth {
  const { logger, meter } = options;
  const samples = new Map<string, { readonly times: number[]; place: number }>();
  const circuits = createCircuitBreaker({
    ...options,
    onChange(circuit, state, reason) {
      const [model = '', key = ''] = circuit.split(' ');
      meter.gauge('chatsphere_model_circuit_state', { model, key }, GAUGE[state]);
      if (state !== 'half-open') logger.warn({ model, key, state, reason }, 'circuit of a model changed');
    },
  });
  return {
    circuits,
    rest(target, kind, error) {
      if (FAILURE_RULES[kind].circuit !== 'rests') return false;
      const asked = error.retryAfterMs;
      // A limit without a time is a failure like others: it counts towards the circuit.
      if (kind === 'limited' && asked === undefined) return false;
      const milliseconds = Math.min(LONGEST_REST_MS, Math.max(asked ?? 0, kind === 'key' ? KEY_REST_MS : 1));
      meter.count('chatsphere_model_rests_total', { model: target.model.id, reason: error.code });
      circuits.coolDown(circuitOf(target), {
        milliseconds,
        after: kind === 'key' ? 'probe' : 'close',
        reason: error.code,
      });
      logger.warn(
        { model: target.model.id, key: target.keyFingerprint, code: error.code, milliseconds },
        'model rests',
      );
      return true;
    },
    took(model, milliseconds) {
      let kept = samples.get(model);
      if (kept === undefined) {
        if (samples.size >= MOST_MODELS) samples.clear();
        kept = { times: [], place: 0 };
        samples.set(model, kept);
      }
      kept.times[kept.place] = milliseconds;
      kept.place = (kept.place + 1) % SAMPLES;
    },
    usualFirstTokenMs(model) {
      const times = samples.get(model)?.times ?? [];
      if (times.length < LEAST_SAMPLES) return null;
      return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? null;
    },
  };
}
