import type { z } from 'zod';
import { oneOf, wholeNumber } from './environment-values.ts';

/** Durations in milliseconds, sizes in bytes. */
export interface AnswerCacheSettings {
  readonly ttlMs: number;
  /** How much longer they are kept for when no model can be had. */
  readonly staleMs: number;
  /** Most memory that they take. */
  readonly maxBytes: number;
  /** Also for others who ask the same in other words. */
  readonly semantic: boolean;
}

const MONTH_SECONDS = 31 * 86_400;

/** The settings of kept answers, for the schema of the environment. */
export const answerCacheEnvironment = {
  ANSWER_CACHE: oneOf(['on', 'off']).default('on'),
  ANSWER_CACHE_TTL_SECONDS: wholeNumber(1, MONTH_SECONDS).default(3600),
  ANSWER_CACHE_STALE_SECONDS: wholeNumber(0, MONTH_SECONDS).default(86_400),
  SEMANTIC_CACHE: oneOf(['on', 'off']).default('off'),
  ANSWER_CACHE_BYTES: wholeNumber(65_536, 64 * 1024 ** 3).default(32 * 1024 ** 2),
};

/** Null: no answer is given again. */
export function answerCacheSettingsOf(
  environment: z.infer<z.ZodObject<typeof answerCacheEnvironment>>,
): AnswerCacheSettings | null {
  if (environment.ANSWER_CACHE === 'off') return null;
  return {
    ttlMs: environment.ANSWER_CACHE_TTL_SECONDS * 1000,
    staleMs: environment.ANSWER_CACHE_STALE_SECONDS * 1000,
    maxBytes: environment.ANSWER_CACHE_BYTES,
    semantic: environment.SEMANTIC_CACHE === 'on',
  };
}
