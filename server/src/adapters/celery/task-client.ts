import { randomUUID } from 'node:crypto';
import type { Clock, JsonObject, JsonValue } from '../../kernel/index.ts';
import { errorOf } from './failures.ts';
import { writeTask } from './message.ts';
import type { CeleryBroker, CeleryResult, CeleryResults } from './ports.ts';
import type { SentMessage, SentTasks, WatchedTask } from './sent-tasks.ts';

export interface TaskClientOptions {
  readonly broker: CeleryBroker;
  readonly results: CeleryResults;
  readonly clock: Clock;
  /** Sends again what workers have lost; null: nothing is sent again. */
  readonly sentTasks: SentTasks | null;
}

/** How often a task is sent, unless it is told otherwise. */
const ATTEMPTS = 3;

export interface SendOptions {
  readonly queue: string;
  /** Made up when it is left out. */
  readonly id?: string;
  readonly args?: readonly JsonValue[];
  readonly kwargs?: JsonObject;
  /** Not before this time, in milliseconds since 1970. */
  readonly eta?: number;
  /** Not before so many milliseconds have passed. */
  readonly countdownMs?: number;
  /** Not after this time, in milliseconds since 1970. */
  readonly expires?: number;
  readonly priority?: number;
  readonly headers?: JsonObject;
  /** Nobody wants to know what becomes of it. */
  readonly ignoreResult?: boolean;
  /**
   * How often it is sent at most while its result is waited for: again when a worker has lost it, under the same id, so that the worker may
   * do it twice. Default 3; 1: never again. Only where lost tasks are looked for.
   */
  readonly attempts?: number;
}

export interface SentTask {
  readonly id: string;
  /**
   * The task's value; rejects with a `CeleryTaskError` when it failed, was revoked or was lost (`WorkerLostError`) as often as it may be
   * sent, and with the signal's reason.
   */
  result(signal?: AbortSignal): Promise<JsonValue>;
}

/** Asks Celery workers, in Python say, for tasks. */
export interface TaskClient {
  /** Resolves when the broker has the task. */
  sendTask(name: string, options: SendOptions): Promise<SentTask>;
}

/** Celery 5.2 passes over the fraction of a second, and would begin too early. */
function wholeSeconds(time: number | null): number | null {
  return time === null ? null : Math.ceil(time / 1_000) * 1_000;
}

export function createTaskClient({ broker, results, clock, sentTasks }: TaskClientOptions): TaskClient {
  function resultOf(sent: Omit<SentMessage, 'onLost'>, signal: AbortSignal | undefined): Promise<JsonValue> {
    return new Promise((resolve, reject) => {
      let unwatch = (): void => {};
      let watched: WatchedTask | null = null;
      const finish = (act: () => void): void => {
        unwatch();
        watched?.end();
        signal?.removeEventListener('abort', onAbort);
        act();
      };
      const onAbort = (): void => finish(() => reject(signal?.reason));
      const onResult = (result: CeleryResult): void => {
        if (result.status === 'SUCCESS') finish(() => resolve(result.result));
        else if (result.status === 'FAILURE' || result.status === 'REVOKED') finish(() => reject(errorOf(result)));
        else watched?.seen();
      };
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      watched =
        sentTasks === null ? null : sentTasks.watch({ ...sent, onLost: (error) => finish(() => reject(error)) });
      unwatch = results.watch(sent.id, onResult);
    });
  }

  return {
    async sendTask(name, { queue, countdownMs, attempts = ATTEMPTS, ...request }) {
      const id = request.id ?? randomUUID();
      const eta = request.eta ?? (countdownMs === undefined ? null : clock.now() + countdownMs);
      const envelope = writeTask({ ...request, id, name, eta: wholeSeconds(eta), replyTo: results.replyTo });
      await broker.publish(queue, envelope);
      const sent = { id, queue, envelope, eta: wholeSeconds(eta), attempts };
      return { id, result: (signal) => resultOf(sent, signal) };
    },
  };
}
