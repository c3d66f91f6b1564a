import type { Redis } from 'ioredis';
import { listsOf, taskIdIn } from './redis-wire.ts';

/** Messages that are read at once: each may be large. */
const PAGE = 50;
/** Where kombu notes what its workers took, of all queues: values are `[message, exchange, routing key]`. */
const UNACKED = 'unacked';

/**
 * Which of these tasks Redis still has: in the lists of the queue, with workers of Python, or with consumers of this server. Lists
 * are read first, from the end where they grow, and then what was taken from them: still, a message that just moves back may be passed over.
 */
export async function tasksInRedis(
  client: Redis,
  queue: string,
  ids: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const note = (text: string): void => {
    const id = taskIdIn(text);
    if (id !== null && ids.has(id)) found.add(id);
  };

  async function readList(list: string): Promise<void> {
    for (let start = 0; found.size < ids.size; start += PAGE) {
      const page = await client.lrange(list, start, start + PAGE - 1);
      for (const text of page) note(text);
      if (page.length < PAGE) return;
    }
  }

  async function readUnacked(): Promise<void> {
    for (let cursor = '0'; found.size < ids.size; ) {
      const [next, entries] = await client.hscan(UNACKED, cursor, 'COUNT', String(PAGE));
      for (const [index, entry] of entries.entries()) if (index % 2 === 1) note(entry);
      if (next === '0') return;
      cursor = next;
    }
  }

  for (const list of listsOf(queue)) await readList(list);
  await readUnacked();
  const consumers = await client.zrange(consumersOf(queue), 0, '-1');
  for (const consumer of consumers) await readList(takenStartOf(queue) + consumer);
  return found;
}

/** The consumers of this server, by when they must have given a sign of life. */
export function consumersOf(queue: string): string {
  return `${queue}:chatsphere:consumers`;
}

/** What a consumer of this server has taken is in a list of this name and its own. */
export function takenStartOf(queue: string): string {
  return `${queue}:chatsphere:taken:`;
}
