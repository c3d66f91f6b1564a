import type { Redis } from 'ioredis';
import type { RedisSettings } from './redis-settings.ts';

export interface ClientEvents {
  readonly onReady: () => void;
  /** The connection was lost or could not be made; another attempt follows. */
  readonly onClosed: (reason: string) => void;
}

const CONNECT_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;

/**
 * A connection that is made again whenever it is lost, on which nothing waits: what is asked meanwhile fails at once.
 * Loads the package only now.
 */
export async function openClient({ url }: Pick<RedisSettings, 'url'>, events: ClientEvents): Promise<Redis> {
  const { Redis: Client } = await import('ioredis');
  const client = new Client(url, {
    lazyConnect: true,
    connectionName: 'chatsphere',
    connectTimeout: CONNECT_MS,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), LAST_RETRY_MS),
  });
  let reason = 'the connection was closed';
  client.on('error', (error: Error) => {
    reason = error.message;
  });
  client.on('ready', () => {
    reason = 'the connection was closed';
    events.onReady();
  });
  client.on('close', () => events.onClosed(reason));
  client.connect().catch(() => {});
  return client;
}
