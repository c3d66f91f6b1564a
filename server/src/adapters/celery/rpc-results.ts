import { randomUUID } from 'node:crypto';
import type { CeleryBroker, CeleryResult, CeleryResults } from './ports.ts';
import { resultIn } from './redis-results.ts';

export interface RpcResultsOptions {
  readonly broker: CeleryBroker;
}

const PLACES = 1_000;
/** Results that came before somebody asked for them. */
const MOST_KEPT = 10_000;

/** Celery's `rpc://`: a result is a message to the queue that its task names; each process has one for what it asks for. */
export function createRpcResults({ broker }: RpcResultsOptions): CeleryResults {
  const replyTo = `chatsphere.results.${randomUUID()}`;
  const watchers = new Map<string, Set<(result: CeleryResult) => void>>();
  const kept = new Map<string, CeleryResult>();
  let close = async (): Promise<void> => {};

  function keep(id: string, result: CeleryResult): void {
    kept.delete(id);
    kept.set(id, result);
    for (const oldest of kept.keys()) {
      if (kept.size <= MOST_KEPT) break;
      kept.delete(oldest);
    }
  }

  return {
    name: 'celery results',
    replyTo,
    async store({ id, replyTo: to, correlationId }, result) {
      if (to === null) return;
      const body = Buffer.from(JSON.stringify(result));
      const about = { headers: {}, contentType: 'application/json', contentEncoding: 'utf-8', priority: 0 };
      const envelope = { ...about, correlationId: correlationId ?? id, replyTo: null, body };
      await broker.publish(to, envelope, { toExisting: true });
    },
    watch(taskId, onResult) {
      const those = watchers.get(taskId) ?? new Set();
      watchers.set(taskId, those);
      those.add(onResult);
      const known = kept.get(taskId);
      if (known !== undefined) queueMicrotask(() => onResult(known));
      return () => {
        those.delete(onResult);
        if (those.size > 0 || watchers.get(taskId) !== those) return;
        watchers.delete(taskId);
        kept.delete(taskId);
      };
    },
    async start() {
      close = await broker.consume(replyTo, {
        places: PLACES,
        isPrivate: true,
        onDelivery(delivery) {
          const { envelope } = delivery;
          const result = envelope === null ? null : resultIn(envelope.body.toString('utf8'));
          const id = result?.task_id || envelope?.correlationId;
          if (result !== null && id) {
            keep(id, result);
            for (const onResult of [...(watchers.get(id) ?? [])]) onResult(result);
          }
          delivery.ack().catch(() => {});
        },
      });
    },
    async stop() {
      await close();
      watchers.clear();
    },
  };
}
