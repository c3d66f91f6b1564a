import { z } from 'zod';

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
  ANSWER_CACHE: z.enum(['on', 'off'], { error: 'must be on or off' }).default('on'),
  ANSWER_CACHE_TTL_SECONDS: z.coerce.number().int().min(1).max(MONTH_SECONDS).default(3600),
  ANSWER_CACHE_STALE_SECONDS: z.coerce.number().int().min(0).max(MONTH_SECONDS).default(86_400),
  SEMANTIC_CACHE: z.enum(['on', 'off'], { error: 'must be on or off' }).default('off'),
  ANSWER_CACHE_BYTES: z.coerce
    .number()
    .int()
    .min(65_536)
    .max(64 * 1024 ** 3)
    .default(32 * 1024 ** 2),
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
