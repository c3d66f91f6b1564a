import type { Clock, JsonValue, Lifecycle, Logger, Meter } from '../../kernel/index.ts';
import { callNext, type Ended, hasNext } from './callbacks.ts';
import { CeleryTaskError, exceptionOf, notRegistered, toTaskError, tracebackOf } from './failures.ts';
import { againLater, type ReadMessage, readTask } from './message.ts';
import { type EndedOutcome, noteOf, outcomeIn } from './outcomes.ts';
import type {
  CeleryBroker,
  CeleryDelivery,
  CeleryResult,
  CeleryResults,
  CeleryState,
  CeleryTask,
  ResultAddress,
  TaskSettlements,
} from './ports.ts';
import { storeSurely } from './store-surely.ts';

/**
 * Does what a task asks for. It may be called again with the same task, after a crash or when a message comes twice, and must not do its
 * work twice then. A failure that is `retryable` is tried again later.
 */
export type CeleryTaskHandler = (task: CeleryTask, signal: AbortSignal) => Promise<JsonValue>;

export interface TaskServerOptions {
  readonly broker: CeleryBroker;
  readonly results: CeleryResults;
  readonly queue: string;
  readonly handlers: ReadonlyMap<string, CeleryTaskHandler>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  /** What was called after tasks, by all processes; without it each message calls it. */
  readonly settlements?: TaskSettlements;
  /** Tasks at once; default 16. Most of them wait for a training. */
  readonly places?: number;
  readonly maxRetries?: number;
  /** Before the first retry, in milliseconds; doubles up to five minutes. */
  readonly retryMs?: number;
  /** 0 (inclusive) to 1 (exclusive), for jitter. */
  readonly random?: () => number;
}

type Outcome =
  | EndedOutcome
  /** This process stops. */
  | { readonly type: 'stopped' };

const CALLED_EACH_TIME: TaskSettlements = {
  async once(_name, { note, act }) {
    await act();
    return note;
  },
};

const LAST_RETRY_MS = 300_000;
/** Before a message is given back whose result could not be stored, say. */
const AGAIN_MS = 1_000;
/** The longest that a timer may be set for at once. */
const LONGEST_SLEEP_MS = 2_000_000_000;

/**
 * A Celery worker: takes tasks from a queue, does them when it is their time and says what became of them. A message stays with the
 * broker until its result is stored, so that nothing is lost with this process.
 */
export function createTaskServer(options: TaskServerOptions): Lifecycle {
  const { broker, results, queue, handlers, clock, logger, meter } = options;
  const { places = 16, maxRetries = 3, retryMs = 1_000, random = Math.random } = options;
  const { settlements = CALLED_EACH_TIME } = options;
  const stopping = new AbortController();
  /** By id and retry: a message that comes twice joins the run of the first, and is settled with it. */
  const running = new Map<string, Promise<Outcome['type']>>();
  const handled = new Set<Promise<void>>();
  let close = async (): Promise<void> => {};

  function onDelivery(delivery: CeleryDelivery): void {
    // What comes while this process stops goes back with its consumer.
    if (stopping.signal.aborted) return;
    const done = handle(delivery).catch(async (error: unknown) => {
      logger.warn({ error }, 'A message of Celery could not be dealt with; it comes again');
      await clock.sleep(AGAIN_MS, stopping.signal).catch(() => {});
      await delivery.giveBack().catch(() => {});
    });
    handled.add(done);
    void done.finally(() => handled.delete(done));
  }

  async function handle(delivery: CeleryDelivery): Promise<void> {
    const { envelope } = delivery;
    const read: ReadMessage | null = envelope === null ? null : readTask(envelope);
    if (read === null || read.type === 'refused') {
      await refuse(read, delivery);
      return;
    }
    const { task } = read;
    try {
      if (!running.has(keyOf(task)) && (isOver(task) || !(await itsTime(task, delivery)))) {
        await expire(task);
        await delivery.ack();
        return;
      }
    } catch {
      await delivery.giveBack();
      return;
    }
    const ended = await (running.get(keyOf(task)) ?? begin(task));
    if (ended === 'stopped') await delivery.giveBack();
    else await delivery.ack();
  }

  async function refuse(read: Extract<ReadMessage, { type: 'refused' }> | null, delivery: CeleryDelivery) {
    logger.warn({ queue, reason: read?.error.message ?? 'no message' }, 'A message of Celery was refused');
    meter.count('chatsphere_celery_tasks_total', { outcome: 'refused' });
    if (read !== null && read.id !== null && delivery.envelope !== null) {
      const { replyTo, correlationId } = delivery.envelope;
      const failure = failureOf(read.error, { id: read.id, name: read.name });
      await store({ id: read.id, replyTo, correlationId }, { ...failure, date_done: doneNow() });
    }
    await delivery.ack();
  }

  const isOver = ({ expires }: CeleryTask): boolean => expires !== null && clock.now() > expires;

  /** Waits until then, without taking the place of another. False: it is too late by now. */
  async function itsTime(task: CeleryTask, delivery: CeleryDelivery): Promise<boolean> {
    const { eta } = task;
    if (eta === null || eta <= clock.now()) return true;
    const unpark = delivery.park();
    while (clock.now() < eta) {
      await clock.sleep(Math.min(eta - clock.now(), LONGEST_SLEEP_MS), stopping.signal);
    }
    unpark();
    return !isOver(task);
  }

  function begin(task: CeleryTask): Promise<Outcome['type']> {
    const run = performAndSettle(task).finally(() => running.delete(keyOf(task)));
    running.set(keyOf(task), run);
    return run;
  }

  async function performAndSettle(task: CeleryTask): Promise<Outcome['type']> {
    const outcome = await perform(task);
    if (outcome.type !== 'stopped') await settle(task, outcome);
    return outcome.type;
  }

  async function perform(task: CeleryTask): Promise<Outcome> {
    const handler = handlers.get(task.name);
    if (handler === undefined) return { type: 'failed', error: notRegistered(task.name) };
    const limit = new AbortController();
    const timer = task.timeLimitMs === null ? undefined : setTimeout(() => limit.abort(), task.timeLimitMs);
    try {
      const value = await handler(task, AbortSignal.any([stopping.signal, limit.signal]));
      return { type: 'done', value };
    } catch (error) {
      if (limit.signal.aborted) return { type: 'failed', error: timeLimitExceeded(task) };
      return stopping.signal.aborted ? { type: 'stopped' } : { type: 'failed', error: toTaskError(error) };
    } finally {
      clearTimeout(timer);
    }
  }

  async function settle(task: CeleryTask, outcome: EndedOutcome): Promise<void> {
    if (outcome.type === 'failed' && outcome.error.retryable && task.retries < maxRetries) {
      await retry(task, outcome.error);
      return;
    }
    const ended: Ended = outcome.type === 'done' ? { value: outcome.value } : { failed: true };
    await end(task, await agreed(task, outcome, () => callNext(broker, task, ended)));
  }

  /** Calls what comes next, unless a run before has: then this one ends as that did. */
  async function agreed(task: CeleryTask, outcome: EndedOutcome, call: () => Promise<void>): Promise<EndedOutcome> {
    if (!hasNext(task)) return outcome;
    const what = { note: noteOf(task, outcome), act: call };
    return outcomeIn(await settlements.once(`${queue}/${task.id}`, what, stopping.signal));
  }

  /** It comes too late, unless a run before has ended in time. Nothing is kept: a run that was in time may still be at it elsewhere. */
  async function expire(task: CeleryTask): Promise<void> {
    const outcome: EndedOutcome = { type: 'failed', error: expired() };
    const before = await agreed(task, outcome, () => Promise.reject(outcome.error)).catch((error: unknown) => {
      if (error !== outcome.error) throw error;
      return outcome;
    });
    await end(task, before);
  }

  /** Sends the task once more, for later. */
  async function retry(task: CeleryTask, error: CeleryTaskError): Promise<void> {
    const backOff = Math.min(LAST_RETRY_MS, retryMs * 2 ** task.retries);
    const delayMs = Math.max(error.retryAfterMs ?? 0, Math.round(backOff / 2 + (random() * backOff) / 2));
    await broker.publish(queue, againLater(task, clock.now() + delayMs));
    meter.count('chatsphere_celery_tasks_total', { outcome: 'retried' });
    if (!task.ignoreResult) {
      const failure = { ...failureOf(error, task), status: 'RETRY' as const, date_done: null };
      await store(addressOf(task), about(task, failure)).catch(() => {});
    }
  }

  async function end(task: CeleryTask, outcome: EndedOutcome): Promise<void> {
    const ended = outcome.type === 'done' ? successOf(task.id, outcome.value) : failureOf(outcome.error, task);
    if (!task.ignoreResult) await store(addressOf(task), about(task, { ...ended, date_done: doneNow() }));
    const name = ended.status === 'SUCCESS' ? 'succeeded' : ended.status === 'REVOKED' ? 'expired' : 'failed';
    meter.count('chatsphere_celery_tasks_total', { outcome: name });
  }

  const store = (address: ResultAddress, result: CeleryResult): Promise<void> =>
    storeSurely({ results, clock, signal: stopping.signal }, address, result);

  const doneNow = (): string => new Date(clock.now()).toISOString().replace('Z', '');

  return {
    name: 'celery tasks',
    async start() {
      close = await broker.consume(queue, { places, onDelivery });
    },
    async stop() {
      stopping.abort();
      await Promise.all(handled);
      await close();
    },
  };
}

function keyOf({ id, retries }: CeleryTask): string {
  return `${retries} ${id}`;
}

function addressOf({ id, envelope: { replyTo, correlationId } }: CeleryTask): ResultAddress {
  return { id, replyTo, correlationId };
}

function successOf(id: string, value: JsonValue): Omit<CeleryResult, 'date_done'> {
  return { task_id: id, status: 'SUCCESS', result: value, traceback: null, children: [] };
}

function failureOf(
  error: CeleryTaskError,
  task: { readonly id: string; readonly name: string },
): Omit<CeleryResult, 'date_done'> {
  const status: CeleryState = error.type === 'TaskRevokedError' ? 'REVOKED' : 'FAILURE';
  const traceback = tracebackOf(error, task);
  return { task_id: task.id, status, result: exceptionOf(error), traceback, children: [] };
}

function about({ parentId, group }: CeleryTask, result: CeleryResult): CeleryResult {
  return {
    ...result,
    ...(parentId === null ? {} : { parent_id: parentId }),
    ...(group === null ? {} : { group_id: group }),
  };
}

function expired(): CeleryTaskError {
  return new CeleryTaskError('expired', { type: 'TaskRevokedError', module: 'celery.exceptions' });
}

function timeLimitExceeded({ timeLimitMs }: CeleryTask): CeleryTaskError {
  const details = { type: 'TimeLimitExceeded', module: 'billiard.exceptions' };
  return new CeleryTaskError(String((timeLimitMs ?? 0) / 1000), details);
}
