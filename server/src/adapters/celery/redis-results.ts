import type { Redis } from 'ioredis';
import type { Logger } from '../../kernel/index.ts';
import type { CeleryResult, CeleryResults } from './ports.ts';
import { openRedisClient } from './redis-client.ts';

export interface RedisResultsOptions {
  readonly url: string;
  readonly logger: Logger;
  /** How long results are kept, in seconds; Celery's default is a day. */
  readonly expireSeconds: number;
}

/** A success stays, as with Celery: a task that is done twice, by a worker that was taken for dead say, ended with the first. KEYS: result; ARGV: text, seconds. */
const STORE = `
local known = redis.call('GET', KEYS[1])
if known then
  local isText, result = pcall(cjson.decode, known)
  if isText and type(result) == 'table' and result['status'] == 'SUCCESS' then return 0 end
end
redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1`;

const LOOK_EVERY_MS = 2_000;

/** Celery's result backend in Redis: one value a task, and news of it on a channel of the same name. */
export function createRedisResults({ url, logger, expireSeconds }: RedisResultsOptions): CeleryResults {
  const watchers = new Map<string, Set<(result: CeleryResult) => void>>();
  let client: Redis | null = null;
  let listener: Redis | null = null;
  let timer: NodeJS.Timeout | null = null;

  function tell(key: string, text: string | null): void {
    const result = text === null ? null : resultIn(text);
    if (result === null) return;
    for (const onResult of [...(watchers.get(key) ?? [])]) onResult(result);
  }

  async function look(key: string): Promise<void> {
    tell(key, (await client?.get(key)) ?? null);
  }

  /** Subscriptions do not outlive their connection, and news may be missed with it. */
  async function listenAgain(): Promise<void> {
    const keys = [...watchers.keys()];
    if (keys.length === 0) return;
    await listener?.subscribe(...keys);
    await lookAll();
  }

  async function lookAll(): Promise<void> {
    const keys = [...watchers.keys()];
    if (keys.length === 0 || client === null) return;
    const found = await client.mget(...keys);
    for (const [index, text] of found.entries()) tell(keys[index] ?? '', text);
  }

  return {
    name: 'celery results',
    replyTo: null,
    async store({ id }, result) {
      if (client === null) throw new Error('The results were not started.');
      await client.eval(STORE, 1, keyOf(id), JSON.stringify(result), String(expireSeconds));
    },
    watch(taskId, onResult) {
      const key = keyOf(taskId);
      const those = watchers.get(key) ?? new Set();
      watchers.set(key, those);
      those.add(onResult);
      const subscribed = those.size === 1 ? listener?.subscribe(key) : undefined;
      void Promise.resolve(subscribed)
        .then(() => look(key))
        .catch(() => {});
      return () => {
        those.delete(onResult);
        if (those.size > 0 || watchers.get(key) !== those) return;
        watchers.delete(key);
        listener?.unsubscribe(key).catch(() => {});
      };
    },
    async start() {
      [client, listener] = await Promise.all([openRedisClient(url, logger), openRedisClient(url, logger)]);
      listener.on('message', tell);
      listener.on('ready', () => void listenAgain().catch(() => {}));
      timer = setInterval(() => void lookAll().catch(() => {}), LOOK_EVERY_MS);
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      watchers.clear();
      listener?.disconnect();
      client?.disconnect();
    },
  };
}

function keyOf(taskId: string): string {
  return `celery-task-meta-${taskId}`;
}

/** Null: it is none. */
export function resultIn(text: string): CeleryResult | null {
  try {
    const parsed = JSON.parse(text) as Partial<CeleryResult> | null;
    if (typeof parsed?.status !== 'string') return null;
    const { task_id = '', status, result = null, traceback = null, children = null, date_done = null } = parsed;
    return { task_id, status, result, traceback, children, date_done };
  } catch {
    return null;
  }
}
