import type { Clock, Logger } from '../../kernel/index.ts';
import { abortable } from '../../resilience/index.ts';
import { CeleryTaskError } from './failures.ts';
import type { CeleryBroker, CeleryEnvelope } from './ports.ts';

export interface SentTasksOptions {
  readonly broker: CeleryBroker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a task may be neither at the broker nor ended before it is sent again, in milliseconds. */
  readonly silenceMs: number;
}

/** A task that was sent and whose result somebody waits for. */
export interface SentMessage {
  readonly id: string;
  readonly queue: string;
  readonly envelope: CeleryEnvelope;
  /** It waits with its worker until then, in milliseconds since 1970; null: it does not. */
  readonly eta: number | null;
  /** How often it is sent at most, the first time included. */
  readonly attempts: number;
  onLost(error: CeleryTaskError): void;
}

export interface WatchedTask {
  /** Its worker gave a sign of life. */
  seen(): void;
  /** Its result is there, or nobody wants it any more. */
  end(): void;
}

/** Sees to it that tasks which workers have lost are done nevertheless. */
export interface SentTasks {
  watch(message: SentMessage): WatchedTask;
  stop(): Promise<void>;
}

interface Watched {
  readonly message: SentMessage;
  sends: number;
  /** Looks in a row that did not find it. */
  missed: number;
}

/** A task has to be missed this often: one look may pass over a message that just moves. */
const LOOKS = 5;

/**
 * kombu takes a message off a list of Redis and only then notes that its worker has it: a worker that is killed in between loses the task,
 * `acks_late` or not. So a task without a result that is at no place of the broker for a while is sent again, under the same id.
 */
export function createSentTasks({ broker, clock, logger, silenceMs }: SentTasksOptions): SentTasks {
  const watched = new Set<Watched>();
  const stopping = new AbortController();
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    while (watched.size > 0) {
      await clock.sleep(silenceMs / (LOOKS - 1), stopping.signal);
      // A broker that is away tells nothing about its messages; one that does not answer must not hold up the end of this process.
      await abortable(look(), stopping.signal).catch(() => {});
    }
  }

  async function look(): Promise<void> {
    const now = clock.now();
    const due = [...watched].filter(({ message: { eta } }) => eta === null || eta <= now);
    for (const queue of new Set(due.map(({ message }) => message.queue))) {
      const those = due.filter(({ message }) => message.queue === queue);
      const there = await broker.tasksIn(queue, new Set(those.map(({ message }) => message.id)));
      if (there === null) continue;
      for (const task of those) {
        task.missed = there.has(task.message.id) ? 0 : task.missed + 1;
        if (task.missed >= LOOKS && watched.has(task)) await sendAgain(task);
      }
    }
  }

  async function sendAgain(task: Watched): Promise<void> {
    const { id, queue, envelope, attempts, onLost } = task.message;
    if (task.sends >= attempts) {
      watched.delete(task);
      onLost(lost(task.sends));
      return;
    }
    await broker.publish(queue, envelope);
    task.sends += 1;
    task.missed = 0;
    logger.warn({ task: id, queue, sends: task.sends }, 'A task was lost by its worker and is sent to Celery again');
  }

  function begin(): void {
    if (running !== null || stopping.signal.aborted) return;
    running = run()
      .catch(() => {})
      .finally(() => {
        running = null;
        if (watched.size > 0) begin();
      });
  }

  return {
    watch(message) {
      const task: Watched = { message, sends: 1, missed: 0 };
      watched.add(task);
      begin();
      return {
        seen() {
          task.missed = 0;
        },
        end: () => void watched.delete(task),
      };
    },
    async stop() {
      stopping.abort();
      await running;
      watched.clear();
    },
  };
}

function lost(sends: number): CeleryTaskError {
  const message = `The task was sent ${sends} ${sends === 1 ? 'time' : 'times'} and is gone from the broker without a result: its worker was killed, or keeps its results elsewhere.`;
  return new CeleryTaskError(message, { type: 'WorkerLostError', module: 'billiard.exceptions' });
}
