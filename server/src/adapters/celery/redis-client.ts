import type { Redis } from 'ioredis';
import type { Logger } from '../../kernel/index.ts';

const CONNECT_MS = 5_000;
const DISCONNECT_MS = 100;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;
const START_MS = 2_000;

/** A connection that is made again whenever it is lost; what is asked meanwhile fails at once. Loads the package only now. */
export async function openRedisClient(url: string, logger: Logger): Promise<Redis> {
  const { Redis: Client } = await import('ioredis');
  const client = new Client(url, {
    lazyConnect: true,
    connectionName: 'chatsphere-celery',
    connectTimeout: CONNECT_MS,
    disconnectTimeout: DISCONNECT_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), LAST_RETRY_MS),
  });
  let told = '';
  client.on('error', (error: Error) => {
    if (error.message === told) return;
    told = error.message;
    logger.warn({ reason: told }, 'The Redis of Celery is away; it is tried again');
  });
  client.on('ready', () => {
    told = '';
  });
  let timer: NodeJS.Timeout | undefined;
  const isReady = new Promise<void>((resolve) => void client.once('ready', () => resolve()));
  client.connect().catch(() => {});
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, START_MS);
  });
  await Promise.race([isReady, late]);
  clearTimeout(timer);
  return client;
}
