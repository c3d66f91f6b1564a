import type { Redis } from 'ioredis';

const CONNECT_MS = 2_000;
const DISCONNECT_MS = 100;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;

export interface QueueClients {
  /** What is asked while it has no connection fails at once. */
  readonly sender: Redis;
  /** To be copied for what waits at Redis; its commands wait for a connection. */
  readonly receiver: Redis;
  /** Ends both and their copies, whether Redis is there or not. */
  close(): void;
}

/** Two connections that are made again whenever they are lost. Loads the package only now. */
export async function openQueueClients(url: string, onError: (error: Error) => void): Promise<QueueClients> {
  const { Redis: Client } = await import('ioredis');
  const clients = new Set<Redis>();
  let isClosed = false;
  const common = {
    connectionName: 'chatsphere-queue',
    connectTimeout: CONNECT_MS,
    disconnectTimeout: DISCONNECT_MS,
    // BullMQ asks for null: its own commands decide when to try again.
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) =>
      isClosed ? null : Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), LAST_RETRY_MS),
  };
  const sender = new Client(url, { ...common, enableOfflineQueue: false, autoResendUnfulfilledCommands: false });
  const receiver = new Client(url, common);
  /** BullMQ copies connections, and loses sight of the copies while Redis is away. */
  function keep(client: Redis): Redis {
    clients.add(client);
    client.on('error', onError);
    const duplicate = client.duplicate.bind(client);
    client.duplicate = (override) => keep(duplicate(override));
    return client;
  }

  return {
    sender: keep(sender),
    receiver: keep(receiver),
    close() {
      isClosed = true;
      for (const client of clients) client.disconnect();
    },
  };
}
