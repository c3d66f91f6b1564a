import type { JsonObject, JsonValue, Lifecycle } from '../../kernel/index.ts';

/** A message as both brokers carry it. */
export interface CeleryEnvelope {
  readonly headers: JsonObject;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly correlationId: string | null;
  readonly replyTo: string | null;
  /** 0 to 9; what it means is the broker's. */
  readonly priority: number;
  readonly body: Buffer;
}

/** A message that was taken, and stays with the broker until it is done with. */
export interface CeleryDelivery {
  /** Null: it is none that can be read. */
  readonly envelope: CeleryEnvelope | null;
  /** It is done with. Rejects when the broker could not be told: it comes again then. */
  ack(): Promise<void>;
  /** Somebody else may have it. */
  giveBack(): Promise<void>;
  /** It waits for its time: another message may come in its place. What is returned ends that. */
  park(): () => void;
}

export interface ConsumeOptions {
  /** Messages that may be with this consumer at once, parked ones not counted. */
  readonly places: number;
  /** Of answers to this process alone: stays while a connection is made again, an hour at most, and goes when it is taken from no more. */
  readonly isPrivate?: boolean;
  /** The most messages that are kept in the queue, when it is made here. */
  readonly keep?: number;
  onDelivery(delivery: CeleryDelivery): void;
}

export interface PublishOptions {
  /** The queue is somebody else's: it is there, or the message is of no use. */
  readonly toExisting?: boolean;
  /** The most messages that are kept in the queue; older ones are dropped. */
  readonly keep?: number;
}

/** Redis or RabbitMQ as Celery uses them. Connections that are lost are made again for ever. */
export interface CeleryBroker extends Lifecycle {
  /** Resolves when the broker has the message; rejects when it cannot be told in time. */
  publish(queue: string, envelope: CeleryEnvelope, options?: PublishOptions): Promise<void>;
  /** Takes messages until the returned function is called; what is not done with by then goes back. */
  consume(queue: string, options: ConsumeOptions): Promise<() => Promise<void>>;
  /**
   * Which of these tasks the broker still has: waiting in the queue, or taken and not done with. Null: it cannot say, and gives to others by
   * itself what was with a worker that died.
   */
  tasksIn(queue: string, ids: ReadonlySet<string>): Promise<ReadonlySet<string> | null>;
}

export type CeleryState = 'PENDING' | 'STARTED' | 'RETRY' | 'SUCCESS' | 'FAILURE' | 'REVOKED';

/** What became of a task, as Celery's result backends hold it. */
export interface CeleryResult {
  readonly task_id: string;
  readonly status: CeleryState;
  /** The task's own value, or `{exc_type, exc_message, exc_module}`. */
  readonly result: JsonValue;
  readonly traceback: string | null;
  readonly children: JsonValue;
  readonly date_done: string | null;
  readonly parent_id?: string;
  readonly group_id?: string;
}

/** Whose result it is and who waits for it. */
export interface ResultAddress {
  readonly id: string;
  readonly replyTo: string | null;
  readonly correlationId: string | null;
}

export interface CeleryResults extends Lifecycle {
  store(address: ResultAddress, result: CeleryResult): Promise<void>;
  /** To be sent with tasks whose results this process waits for; null: they are found by id. */
  readonly replyTo: string | null;
  /** Calls back with each state of the task from now on, and with the one that is known; until it is called off. */
  watch(taskId: string, onResult: (result: CeleryResult) => void): () => void;
}

/** What ends are settled already, by whichever process. */
export interface TaskSettlements {
  /**
   * Does it unless it was done under that name before, and resolves to the note of whoever did it. Whoever is just at it is waited for; what
   * a process that died has begun is done again. Rejects when it fails, and may be tried again then.
   */
  once(name: string, what: { readonly note: string; act(): Promise<void> }, signal: AbortSignal): Promise<string>;
}

/** A task that somebody asks for, as a handler sees it. */
export interface CeleryTask {
  readonly id: string;
  readonly name: string;
  readonly args: readonly JsonValue[];
  readonly kwargs: JsonObject;
  /** Milliseconds since 1970; null: at once. */
  readonly eta: number | null;
  readonly expires: number | null;
  readonly retries: number;
  readonly timeLimitMs: number | null;
  readonly rootId: string;
  readonly parentId: string | null;
  readonly group: string | null;
  readonly ignoreResult: boolean;
  readonly callbacks: readonly CelerySignature[];
  readonly errbacks: readonly CelerySignature[];
  /** What comes next stands last. */
  readonly chain: readonly CelerySignature[];
  readonly envelope: CeleryEnvelope;
}

/** A task to be called later, as messages hold it. */
export interface CelerySignature {
  readonly task: string;
  readonly args: readonly JsonValue[];
  readonly kwargs: JsonObject;
  readonly options: JsonObject;
  readonly immutable: boolean;
}
