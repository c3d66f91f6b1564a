import type { AnswerEvent } from '../../chat/index.ts';
import type { ChatCompletionChunk, WireError } from '../contract/index.ts';
import { toLine } from '../event-stream.ts';
import type { AnswerEncoder } from './answer-encoder.ts';
import { type AnswerStart, createChunkMaker, toWireUsage } from './chat-completion.ts';

export interface CompletionStream {
  readonly id: string;
  /** As the client named it. */
  readonly model: string;
  /** Unix seconds. */
  readonly created: number;
  readonly includeUsage: boolean;
}

/** Stands where the text of a chunk is, to cut the chunk around it; it cannot be part of an id or a name. */
const HOLE = '\u0000';

/**
 * OpenAI's chunks. Of a piece of text only the text itself is made into JSON: all else of the chunk is the same for each
 * piece of an answer, and is made once.
 */
export function createCompletionEncoder(stream: CompletionStream): AnswerEncoder {
  const { includeUsage, id } = stream;
  let chunks = createChunkMaker(stream, unknownStart(id), includeUsage);
  const [head = '', tail = ''] = toLine(chunks.text(HOLE)).split(JSON.stringify(HOLE));
  const numbered = (number: number, chunk: ChatCompletionChunk): string => `id: ${number}\ndata: ${toLine(chunk)}\n\n`;

  function encode(number: number, event: AnswerEvent): string {
    switch (event.type) {
      case 'text-delta':
        return `id: ${number}\ndata: ${head}${toLine(event.text)}${tail}\n\n`;
      case 'start':
        chunks = createChunkMaker(stream, { ...event, messageId: id }, includeUsage);
        return numbered(number, chunks.begin());
      case 'tool-call-delta':
        return numbered(number, chunks.toolCall(event));
      case 'end':
        return numbered(number, chunks.end(event)) + (includeUsage ? numbered(number, chunks.usage(event)) : '');
    }
  }

  return {
    headers: {},
    encode,
    skip(number, event, isLast) {
      if (event.type === 'start') encode(number, event);
      return isLast && includeUsage && event.type === 'end' ? numbered(number, chunks.usage(event)) : '';
    },
    done: (number) => `id: ${number}\ndata: [DONE]\n\n`,
    stopped: (number) => `${numbered(number, chunks.cancelled())}id: ${number}\ndata: [DONE]\n\n`,
    failed(number, error, used) {
      const usage = includeUsage && used !== null ? { usage: toWireUsage(used) } : {};
      return `id: ${number}\ndata: ${toLine({ ...error, ...usage } satisfies WireError)}\n\n`;
    },
  };
}

function unknownStart(messageId: string): AnswerStart {
  return { type: 'start', messageId, conversationId: null, servedBy: '', attempts: 0, cache: 'miss', degraded: [] };
}
