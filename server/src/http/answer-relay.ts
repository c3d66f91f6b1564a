import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AnswerEvent, AnswerStream } from '../chat/index.ts';
import { AppError, type Logger, toAppError } from '../kernel/index.ts';
import { logFailure, toWireError } from './error-response.ts';
import type { EventStream, EventStreams } from './event-stream.ts';
import type { AnswerEncoder } from './mappers/answer-encoder.ts';
import { type AnswerStart, answerHeaders } from './mappers/chat-completion.ts';

export interface Relay {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly stream: AnswerStream;
  readonly encoder: AnswerEncoder;
  /** The number of the last event that the client has. */
  readonly after: number;
  /** What this layer took before it had the answer's stream. */
  readonly overheadMs: number;
}

/** Sends the answer that a request has begun, or joined: the key's limits count it until it is over, whoever reads it. */
export async function relayBegun(
  relay: Relay & { readonly isReplay: boolean },
  parts: { readonly eventStreams: EventStreams; readonly logger: Logger },
): Promise<void> {
  if (relay.isReplay) relay.reply.header('idempotency-replayed', 'true');
  else relay.request.stillRunning = relay.stream.settled;
  await relayAnswer(relay, parts);
}

/** Keeps what counts for the key's limit current: it is taken when the request is over, however it ends. */
export function usageCounterOf(
  request: FastifyRequest,
): (usage: Extract<AnswerEvent, { readonly type: 'end' }>['usage']) => void {
  return ({ inputTokens, outputTokens }) => {
    request.usedTokens = inputTokens + outputTokens;
  };
}

/**
 * Sends an answer's stream to one client, from its start or from where the client left off. Before the answer has begun a
 * failure rejects, so that it gets its own status; after it, it is one event and never a clean end.
 */
export async function relayAnswer(
  relay: Relay,
  parts: { readonly eventStreams: EventStreams; readonly logger: Logger },
): Promise<void> {
  const { request, reply, stream, encoder } = relay;
  reply.header('x-chatsphere-message', stream.about.id);
  reply.headers(encoder.headers);
  const events = parts.eventStreams.create(reply);
  const position = { number: 0 };
  const nextNumber = (): number => Math.max(position.number, relay.after) + 1;
  try {
    await relayEvents(relay, events, position);
    await events.write(encoder.done(nextNumber()));
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'answer_stopped' && position.number > 0) await sendLast(events, encoder.stopped(nextNumber()));
    else if (!events.isOpen()) throw thrown;
    else {
      if (stream.isLive) logFailure(parts.logger, error, request);
      if (events.signal.aborted) return;
      const wire = toWireError(error, request.id);
      const after = stream.canResume(error) ? nextNumber() - 1 : null;
      const resume = after === null ? {} : { resume: { message: stream.about.id, after } };
      const last = encoder.failed(after ?? nextNumber(), { error: { ...wire.error, ...resume } }, stream.used());
      await sendLast(events, last);
    }
  } finally {
    events.close();
  }
}

async function sendLast(events: EventStream, frames: string): Promise<void> {
  try {
    await events.write(frames);
  } catch {
    // The client has left: nobody is there to be told.
  }
}

async function relayEvents(relay: Relay, events: EventStream, position: { number: number }): Promise<void> {
  const { stream, encoder, after, overheadMs } = relay;
  let last: AnswerEvent['type'] | null = null;
  for await (const { first, items } of stream.read({ signal: events.signal, after })) {
    let frames = '';
    let number = first;
    for (const event of items) {
      if (event.type === 'start') events.open(answerHeaders(event satisfies AnswerStart, overheadMs));
      frames += number > after ? encoder.encode(number, event) : encoder.skip(number, event, number === after);
      last = event.type;
      number += 1;
    }
    position.number = number - 1;
    if (frames === '') continue;
    const full = events.write(frames);
    if (full !== undefined) await full;
  }
  if (last !== 'end') throw new AppError('stream_interrupted', 'The answer broke off. Ask again.', { retryable: true });
}
