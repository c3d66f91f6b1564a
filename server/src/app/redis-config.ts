import { z } from 'zod';
import type { RedisSettings } from '../adapters/redis/index.ts';
import { wholeNumber } from './environment-values.ts';

/** The settings of Redis, for the schema of the environment. */
export const redisEnvironment = {
  REDIS_URL: z
    .string()
    .refine(isRedisUrl, { error: 'must be a redis:// or rediss:// address, such as redis://127.0.0.1:6379/0' })
    .optional(),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w.:-]{1,64}$/, 'must have 1 to 64 letters, digits or _ . : -')
    .default('chatsphere:'),
  REDIS_TIMEOUT_MS: wholeNumber(5, 1000).default(50),
};

/** Null: without Redis, what processes share is in the memory of the one that there is. */
export function redisSettingsOf(environment: {
  readonly REDIS_URL?: string | undefined;
  readonly REDIS_PREFIX: string;
  readonly REDIS_TIMEOUT_MS: number;
}): RedisSettings | null {
  const { REDIS_URL: url, REDIS_PREFIX: prefix, REDIS_TIMEOUT_MS: timeoutMs } = environment;
  return url === undefined ? null : { url, prefix, timeoutMs };
}

/** What must not be logged: the address, and the password in it as it is written and meant. */
export function redisSecrets(settings: RedisSettings | null): readonly string[] {
  if (settings === null) return [];
  const { password } = new URL(settings.url);
  return password === '' ? [] : [settings.url, password, decodeURIComponent(password)];
}

function isRedisUrl(text: string): boolean {
  try {
    const { protocol, hostname, pathname, password } = new URL(text);
    decodeURIComponent(password);
    return ['redis:', 'rediss:'].includes(protocol) && hostname !== '' && /^(\/\d{0,4})?$/.test(pathname);
  } catch {
    return false;
  }
}
