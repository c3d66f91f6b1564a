import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import type { JsonObject, JsonValue, Logger } from '../../kernel/index.ts';
import { MAX_BODY_BYTES } from './message.ts';
import type { CeleryBroker, CeleryDelivery, CeleryEnvelope, ConsumeOptions } from './ports.ts';

export interface AmqpBrokerOptions {
  /** `amqp://` or `amqps://`. A secret. */
  readonly url: string;
  readonly logger: Logger;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
const START_MS = 2_000;
const PUBLISH_MS = 10_000;
const HEARTBEAT_SECONDS = 20;
/** How long answers wait for a process that lost its connection, or was killed. */
const PRIVATE_KEPT_MS = 3_600_000;
/** Messages that wait here for their time beside those that have a place. */
const MOST_PARKED = 1_000;

interface Line {
  readonly model: ChannelModel;
  readonly sender: ConfirmChannel;
  /** Queues that are there as this connection knows, or is just finding out. */
  readonly declared: Map<string, Promise<void>>;
}

interface Consumer {
  attach(line: Line): Promise<void>;
  close(): Promise<void>;
}

/** Celery's queues in RabbitMQ: acknowledged late, as many ahead as there are places. */
export function createAmqpBroker({ url, logger }: AmqpBrokerOptions): CeleryBroker {
  const consumers = new Set<Consumer>();
  let line: Line | null = null;
  let isStopped = false;
  let retry: NodeJS.Timeout | null = null;
  let told = '';

  async function connect(delayMs = FIRST_RETRY_MS): Promise<void> {
    let opened: ChannelModel | null = null;
    try {
      const amqp = await import('amqplib');
      const model = await amqp.connect(withHeartbeat(url));
      opened = model;
      model.on('error', () => {});
      model.on('close', () => onClosed(model));
      const sender = await model.createConfirmChannel();
      sender.on('error', () => {});
      const made: Line = { model, sender, declared: new Map() };
      // A channel that was refused something is of no use any more, nor is what else hangs on the connection.
      sender.on('close', () => void model.close().catch(() => {}));
      if (isStopped) {
        await model.close();
        return;
      }
      line = made;
      told = '';
      for (const consumer of consumers) await consumer.attach(made);
    } catch (error) {
      const reason = error instanceof Error ? error.message.replaceAll(url, '...') : 'unknown';
      if (reason !== told) logger.warn({ reason }, 'The broker of Celery is away; it is tried again');
      told = reason;
      if (line?.model === opened) line = null;
      again(delayMs);
      // Consumers on it would take messages beside those of the next one, and could not acknowledge them.
      await opened?.close().catch(() => {});
    }
  }

  function again(delayMs: number): void {
    if (isStopped || retry !== null) return;
    retry = setTimeout(() => {
      retry = null;
      void connect(Math.min(delayMs * 2, LAST_RETRY_MS));
    }, delayMs);
  }

  function onClosed(model: ChannelModel): void {
    if (line?.model !== model) return;
    line = null;
    again(FIRST_RETRY_MS);
  }

  function declare(to: Line, queue: string, maxLength?: number): Promise<void> {
    const { declared } = to;
    const known = declared.get(queue);
    if (known !== undefined) return known;
    const declaring = findOrMake(to, queue, maxLength);
    declared.set(queue, declaring);
    declaring.catch(() => declared.delete(queue));
    return declaring;
  }

  /** A queue that exists stays as whoever made it wanted it. */
  async function findOrMake({ model }: Line, queue: string, maxLength?: number): Promise<void> {
    const channel = await model.createChannel();
    // Its refusal closes the channel: that is told by the call as well.
    channel.on('error', () => {});
    const args = maxLength === undefined ? {} : { arguments: { 'x-max-length': maxLength } };
    try {
      await channel.checkQueue(queue);
      await channel.close();
    } catch {
      const another = await model.createChannel();
      another.on('error', () => {});
      await another.assertQueue(queue, { durable: true, ...args });
      await another.close();
    }
  }

  function createConsumer(queue: string, options: ConsumeOptions): Consumer {
    let channel: Channel | null = null;
    let parked = 0;

    /** Of the whole channel: RabbitMQ takes a new number at any time. */
    const prefetch = (): void => void channel?.prefetch(options.places + parked, true).catch(() => {});

    function deliver(source: Channel, message: ConsumeMessage): void {
      let [isParked, isDone] = [false, false];
      const leave = (settle: () => void): void => {
        if (isDone) return;
        isDone = true;
        if (isParked) {
          parked -= 1;
          prefetch();
        }
        if (source !== channel) throw new Error('The connection that brought the message is gone: it comes again.');
        settle();
      };
      const delivery: CeleryDelivery = {
        envelope: envelopeOf(message),
        ack: async () => leave(() => source.ack(message)),
        giveBack: async () => leave(() => source.nack(message, false, true)),
        park() {
          if (isDone || parked >= MOST_PARKED) return () => {};
          isParked = true;
          parked += 1;
          prefetch();
          return () => {
            if (isDone || !isParked) return;
            isParked = false;
            parked -= 1;
            prefetch();
          };
        },
      };
      options.onDelivery(delivery);
    }

    return {
      async attach(to) {
        if (options.isPrivate !== true) await declare(to, queue, options.keep);
        const made = await to.model.createChannel();
        made.on('error', () => {});
        made.on('close', () => {
          if (channel !== made) return;
          channel = null;
          // Closed by the broker, for a message that was held for too long say: everything is begun anew.
          void to.model.close().catch(() => {});
        });
        if (options.isPrivate === true) {
          await made.assertQueue(queue, { durable: true, expires: PRIVATE_KEPT_MS });
        }
        parked = 0;
        channel = made;
        await made.prefetch(options.places, true);
        await made.consume(queue, (message) => {
          if (message !== null) deliver(made, message);
        });
      },
      async close() {
        const closing = channel;
        channel = null;
        if (options.isPrivate === true) await closing?.deleteQueue(queue).catch(() => {});
        await closing?.close().catch(() => {});
      },
    };
  }

  return {
    name: 'celery broker',
    async publish(queue, envelope, { toExisting = false, keep } = {}) {
      const to = line;
      if (to === null) throw new Error('The broker of Celery is away.');
      if (!toExisting) await declare(to, queue, keep);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('The broker of Celery does not answer.')), PUBLISH_MS);
        to.sender.publish('', queue, envelope.body, publishOptions(envelope), (error: unknown) => {
          clearTimeout(timer);
          if (error === null || error === undefined) resolve();
          else reject(error instanceof Error ? error : new Error('The broker of Celery refused a message.'));
        });
      });
    },
    async consume(queue, options) {
      const consumer = createConsumer(queue, options);
      consumers.add(consumer);
      if (line !== null) await consumer.attach(line).catch(() => {});
      return async () => {
        consumers.delete(consumer);
        await consumer.close();
      };
    },
    tasksIn: async () => null,
    async start() {
      const connecting = connect();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, START_MS);
      });
      await Promise.race([connecting, late]);
      clearTimeout(timer);
    },
    async stop() {
      isStopped = true;
      if (retry !== null) clearTimeout(retry);
      await Promise.all([...consumers].map((consumer) => consumer.close()));
      const closing = line;
      line = null;
      await closing?.model.close().catch(() => {});
    },
  };
}

function publishOptions(envelope: CeleryEnvelope) {
  return {
    headers: { ...envelope.headers },
    contentType: envelope.contentType,
    contentEncoding: envelope.contentEncoding,
    deliveryMode: 2,
    priority: envelope.priority,
    ...(envelope.correlationId === null ? {} : { correlationId: envelope.correlationId }),
    ...(envelope.replyTo === null ? {} : { replyTo: envelope.replyTo }),
  };
}

/** Null: too large to be looked at. */
function envelopeOf({ content, properties }: ConsumeMessage): CeleryEnvelope | null {
  if (content.length > MAX_BODY_BYTES) return null;
  const { contentType, contentEncoding, correlationId, replyTo, priority } = properties as unknown as Record<
    string,
    unknown
  >;
  return {
    headers: plainObject(properties.headers),
    contentType: textOf(contentType) ?? '',
    contentEncoding: textOf(contentEncoding) ?? '',
    correlationId: textOf(correlationId),
    replyTo: textOf(replyTo),
    priority: typeof priority === 'number' ? priority : 0,
    body: content,
  };
}

/** Headers of AMQP have types that JSON does not: those become text or null. */
function plainObject(headers: unknown): JsonObject {
  try {
    return (JSON.parse(JSON.stringify(headers ?? {})) as JsonObject | null) ?? {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): JsonValue & (string | null) {
  return typeof value === 'string' && value !== '' ? value : null;
}

function withHeartbeat(url: string): string {
  const address = new URL(url);
  if (!address.searchParams.has('heartbeat')) address.searchParams.set('heartbeat', String(HEARTBEAT_SECONDS));
  return address.toString();
}
