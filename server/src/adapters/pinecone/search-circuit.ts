import { AppError, type Clock, type Logger, toAppError } from '../../kernel/index.ts';
import { createCircuitBreaker, createMemoryCircuitStates } from '../../resilience/index.ts';

/** Lets questions through while Pinecone answers, and refuses them at once while it does not. */
export interface SearchCircuit {
  /** Rejects with `provider_unavailable` when Pinecone is left alone for now. */
  run<Result>(work: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result>;
}

const KEY = 'pinecone';

export function createSearchCircuit(parts: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}): SearchCircuit {
  const { clock, logger, random } = parts;
  const breaker = createCircuitBreaker({
    states: createMemoryCircuitStates(clock),
    clock,
    random,
    policy: { failuresInARow: 3, openMs: 1000, maxOpenMs: 15_000, probeMs: 10_000 },
    onChange: (_, state, reason) => logger.warn({ state, reason }, 'the circuit to Pinecone has changed'),
  });
  return {
    async run(work, signal) {
      const permit = await breaker.enter(KEY);
      if (permit === null) {
        throw new AppError('provider_unavailable', 'Pinecone did not answer lately. Try again soon.', {
          retryable: true,
          retryAfterMs: 1000,
        });
      }
      try {
        const result = await work();
        permit.succeeded();
        return result;
      } catch (error) {
        const { code, retryable } = toAppError(signal?.aborted ? signal.reason : error);
        // Time that ran out is Pinecone's doing; a client that left, and what would fail again, is not.
        const isTheirs = signal?.aborted ? code === 'timeout' : retryable;
        if (isTheirs) permit.failed(code);
        else permit.released();
        throw error;
      }
    },
  };
}
