import { AppError } from '../../kernel/index.ts';
import type { FinishReason } from '../../llm/index.ts';
import type { Batch } from '../../resilience/index.ts';
import type { Message } from '../../store/index.ts';
import type { AnswerEvent } from '../ports.ts';
import type { AnswerStream } from './ports.ts';

/**
 * The stream of an answer as its stored message tells it, event by event with the numbers that it had. An answer that
 * broke off ends as it did, with the error; one that was not streamed is one piece.
 */
export function createStoredStream(stored: {
  readonly message: Message;
  readonly endUser: string | null;
  /** The bot's name for the client. */
  readonly model: string;
}): AnswerStream {
  const { message, endUser, model } = stored;
  return {
    about: {
      id: message.id,
      tenantId: message.tenantId,
      botId: message.botId,
      keyId: null,
      endUser,
      model,
      createdAt: message.createdAt,
    },
    isLive: false,
    used: () => null,
    canResume: () => false,
    settled: Promise.resolve(),
    read: () => replay(message),
  };
}

async function* replay(message: Message): AsyncGenerator<Batch<AnswerEvent>> {
  const { content, stream } = message;
  const items: AnswerEvent[] = [
    {
      type: 'start',
      messageId: message.id,
      conversationId: message.conversationId,
      servedBy: message.servedBy ?? '',
      attempts: 0,
      cache: 'miss',
      degraded: [],
    },
  ];
  let at = 0;
  for (const length of stream?.pieces ?? [content.length]) {
    // Calls of tools are not stored; their events keep their numbers, as pieces without text.
    items.push({ type: 'text-delta', text: content.slice(at, at + length) });
    at += length;
  }
  if (message.status === 'complete') items.push(endOf(message));
  yield { first: 1, items };
  if (message.status === 'complete') return;
  throw stream?.finishReason === 'cancelled'
    ? new AppError('answer_stopped', 'The answer was stopped.')
    : new AppError('stream_interrupted', 'This is all there is: the answer had broken off here. Ask again.', {
        retryable: true,
      });
}

function endOf({ stream, citations, grounded }: Message): AnswerEvent {
  return {
    type: 'end',
    finishReason: (stream?.finishReason ?? 'stop') as FinishReason,
    usage: stream?.usage ?? { inputTokens: 0, outputTokens: 0 },
    citations,
    grounded: grounded ?? false,
    degraded: [],
  };
}
