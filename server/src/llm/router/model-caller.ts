import type { Clock, Logger, Meter } from '../../kernel/index.ts';
import { createMemoryCircuitStates } from '../../resilience/index.ts';
import type { ChatModel, TokenCounter } from '../ports.ts';
import type { ModelDeadlines } from './answer-run.ts';
import type { ModelCaller } from './model-call.ts';
import { createModelChain } from './model-chain.ts';
import { createModelHealth } from './model-health.ts';
import { createModelRouter } from './model-router.ts';
import { createRotation } from './rotation.ts';

export interface ModelCallerOptions {
  readonly model: ChatModel;
  readonly deadlines: ModelDeadlines;
  readonly retries: {
    /** Most calls for one answer, the first one included. */
    readonly attempts: number;
    readonly baseDelayMs: number;
    readonly maxDelayMs: number;
  };
  readonly counter: TokenCounter;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  readonly logger: Logger;
  readonly meter: Meter;
}

const PATIENCE_MS = 60_000;

/** A router of one model without a key to choose, with a health of its own. */
export function createModelCaller({ model, retries, random = Math.random, ...parts }: ModelCallerOptions): ModelCaller {
  const { clock, logger, meter } = parts;
  const target = { model, keyFingerprint: null };
  const entry = { rank: 0, weight: 1, targets: [target], keys: createRotation([1], random) };
  return createModelRouter({
    ...parts,
    random,
    chain: createModelChain([entry], random),
    health: createModelHealth({ states: createMemoryCircuitStates(clock), clock, logger, meter, random }),
    retries: { ...retries, budget: retries.attempts - 1, patienceMs: PATIENCE_MS },
    hedgeAfter: null,
    lastResorts: [],
  });
}
