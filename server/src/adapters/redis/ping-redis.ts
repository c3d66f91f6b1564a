import { openClient } from './redis-client.ts';
import type { RedisSettings } from './redis-settings.ts';
import { withinTime } from './within-time.ts';

const LIMIT_MS = 2_000;

export type RedisPing =
  | { readonly isThere: true; readonly version: string; readonly tookMs: number }
  | { readonly isThere: false; readonly reason: string };

/** Asks Redis once who it is and how soon it answers, or tells why it cannot be used. Never rejects. */
export async function pingRedis(settings: RedisSettings): Promise<RedisPing> {
  let reason = `it did not answer within ${LIMIT_MS} ms`;
  let becameReady = (): void => {};
  const ready = new Promise<void>((resolve) => {
    becameReady = resolve;
  });
  const client = await openClient(settings, {
    onReady: becameReady,
    onClosed: (why) => {
      reason = why;
    },
  });
  try {
    await withinTime(ready, LIMIT_MS);
    const begunAt = performance.now();
    await withinTime(client.ping(), LIMIT_MS);
    const tookMs = performance.now() - begunAt;
    const info = await withinTime(client.info('server'), LIMIT_MS);
    return { isThere: true, version: /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown', tookMs };
  } catch {
    return { isThere: false, reason };
  } finally {
    client.disconnect();
  }
}
