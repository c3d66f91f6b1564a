import type { Clock } from '../../kernel/index.ts';
import type { CeleryResult, CeleryResults, ResultAddress } from './ports.ts';

const TRIES = 5;
const FIRST_DELAY_MS = 200;

export interface StoreParts {
  readonly results: CeleryResults;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Stores a result, also over a short absence of the backend. Rejects after some seconds: the message of its task comes again then. */
export async function storeSurely(
  { results, clock, signal }: StoreParts,
  address: ResultAddress,
  result: CeleryResult,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await results.store(address, result);
      return;
    } catch (error) {
      if (attempt === TRIES || signal.aborted) throw error;
      await clock.sleep(FIRST_DELAY_MS * 2 ** attempt, signal);
    }
  }
}
