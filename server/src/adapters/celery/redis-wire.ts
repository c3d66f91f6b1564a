import { randomUUID } from 'node:crypto';
import type { JsonObject, JsonValue } from '../../kernel/index.ts';
import { MAX_BODY_BYTES } from './message.ts';
import type { CeleryEnvelope } from './ports.ts';

/** base64 and JSON around the body. */
const MAX_TEXT = MAX_BODY_BYTES * 2;

/** A message as kombu's Redis transport keeps it in lists. */
export function toRedisText(envelope: CeleryEnvelope, queue: string): string {
  return JSON.stringify({
    body: envelope.body.toString('base64'),
    'content-encoding': envelope.contentEncoding,
    'content-type': envelope.contentType,
    headers: envelope.headers,
    properties: {
      correlation_id: envelope.correlationId,
      reply_to: envelope.replyTo ?? '',
      delivery_mode: 2,
      delivery_info: { exchange: '', routing_key: queue },
      priority: envelope.priority,
      body_encoding: 'base64',
      delivery_tag: randomUUID(),
    },
  });
}

/** Null: it is no message. */
export function fromRedisText(text: string): CeleryEnvelope | null {
  if (text.length > MAX_TEXT) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  const message = objectOf(parsed);
  const properties = objectOf(message['properties']);
  const { body } = message;
  if (typeof body !== 'string') return null;
  const priority = properties['priority'];
  return {
    headers: objectOf(message['headers']),
    contentType: textOf(message['content-type']) ?? '',
    contentEncoding: textOf(message['content-encoding']) ?? '',
    correlationId: textOf(properties['correlation_id']),
    replyTo: textOf(properties['reply_to']),
    priority: typeof priority === 'number' ? priority : 0,
    body: Buffer.from(body, properties['body_encoding'] === 'base64' ? 'base64' : 'utf8'),
  };
}

/** The id of the task in a message of a list, or in what kombu notes of one that was taken; null: there is none. */
export function taskIdIn(text: string): string | null {
  try {
    const parsed = JSON.parse(text) as unknown;
    const { headers, properties } = objectOf(Array.isArray(parsed) ? parsed[0] : parsed);
    return textOf(objectOf(headers)['id']) ?? textOf(objectOf(properties)['correlation_id']);
  } catch {
    return null;
  }
}

/** kombu's steps of priority, the most urgent first: each has a list of its own. */
export function listsOf(queue: string): readonly string[] {
  return [queue, ...[3, 6, 9].map((step) => `${queue}\u0006\u0016${step}`)];
}

export function listFor(queue: string, priority: number): string {
  const lists = listsOf(queue);
  const step = Math.min(3, Math.max(0, Math.floor(priority / 3)));
  return lists[step] ?? queue;
}

function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function textOf(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
