import type { Cache, Leases } from '../../cache/index.ts';

export interface AnswerCacheOptions {
  readonly cache: Cache;
  /** Keeps processes that share the cache from making the same answer at once. */
  readonly leases: Leases;
  /** How long an answer is given to others who ask the same. */
  readonly ttlMs: number;
  /** How much longer it is kept for when no model can be had. */
  readonly staleMs: number;
  /** Answers also what asks the same in other words. */
  readonly semantic: boolean;
  /** Changes with what the server itself has a part in: its prompts, its models, its settings. */
  readonly serverVersion: string;
}
