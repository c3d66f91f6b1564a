import { type AnswerEvent, createToolCallCollector, type ToolCall } from '../../chat/index.ts';
import type { WireCitation } from '../contract/index.ts';
import { toLine } from '../event-stream.ts';
import type { AnswerEncoder } from './answer-encoder.ts';
import { type AnswerEnd, type AnswerStart, extrasOf, toWireUsage } from './chat-completion.ts';

const HOLE = '\u0000';
const TEXT_ID = 'text';
const FINISH: Readonly<Record<AnswerEnd['finishReason'], string>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content-filter',
  tool_calls: 'tool-calls',
};

/** The Vercel AI SDK's UI message stream, version 1 (`uiMessageChunkSchema` in the package `ai`). */
export function createUIMessageEncoder(messageId: string): AnswerEncoder {
  const [head = '', tail = ''] = toLine({ type: 'text-delta', id: TEXT_ID, delta: HOLE }).split(JSON.stringify(HOLE));
  const tools = createToolCallCollector();
  const toolIds = new Map<number, string>();
  let start: AnswerStart | null = null;
  let isTextOpen = false;

  function openText(): string {
    if (isTextOpen) return '';
    isTextOpen = true;
    return frame({ type: 'text-start', id: TEXT_ID });
  }

  function closeText(): string {
    if (!isTextOpen) return '';
    isTextOpen = false;
    return frame({ type: 'text-end', id: TEXT_ID });
  }

  function toolInput(event: Extract<AnswerEvent, { readonly type: 'tool-call-delta' }>): string {
    tools.add(event);
    const isNew = !toolIds.has(event.index);
    if (isNew) toolIds.set(event.index, event.id ?? `call_${event.index}`);
    const toolCallId = toolIds.get(event.index);
    const begun = isNew
      ? frame({ type: 'tool-input-start', toolCallId, toolName: event.name ?? '', dynamic: true })
      : '';
    if (event.argumentsText === '') return begun;
    return begun + frame({ type: 'tool-input-delta', toolCallId, inputTextDelta: event.argumentsText });
  }

  function ending(end: AnswerEnd): string {
    const calls = tools.calls().map((call, place) => frame(toolPart(call, [...toolIds.values()][place])));
    const sources = end.citations.map((citation) => frame(sourcePart(citation)));
    const data = start === null ? '' : frame({ type: 'data-chatsphere', data: extrasOf(start, end) });
    const finish = { type: 'finish', finishReason: FINISH[end.finishReason] };
    return closeText() + calls.join('') + sources.join('') + data + frame(finish);
  }

  function frames(event: AnswerEvent): string {
    switch (event.type) {
      case 'start':
        start = { ...event, messageId };
        return frame({ type: 'start', messageId });
      case 'text-delta':
        return `${openText()}data: ${head}${toLine(event.text)}${tail}\n\n`;
      case 'tool-call-delta':
        return toolInput(event);
      case 'end':
        return ending(event);
    }
  }

  return {
    headers: { 'x-vercel-ai-ui-message-stream': 'v1' },
    encode: (number, event) => withId(number, frames(event)),
    skip(_number, event) {
      frames(event);
      return '';
    },
    done: (number) => withId(number, 'data: [DONE]\n\n'),
    stopped: (number) => withId(number, `${closeText()}${frame({ type: 'abort', reason: 'stopped' })}data: [DONE]\n\n`),
    failed: (number, { error }, used) =>
      withId(
        number,
        frame({
          type: 'data-chatsphere-error',
          data: { ...error, ...(used === null ? {} : { usage: toWireUsage(used) }) },
          transient: true,
        }) + frame({ type: 'error', errorText: error.message }),
      ),
  };
}

/** One id for frames that go together: on the last, so that whoever has the id has them all. */
function withId(number: number, frames: string): string {
  const end = frames.lastIndexOf('\n\ndata: ', frames.length - 3);
  const last = end < 0 ? 0 : end + 2;
  return `${frames.slice(0, last)}id: ${number}\n${frames.slice(last)}`;
}

function frame(part: Readonly<Record<string, unknown>>): string {
  return `data: ${toLine(part)}\n\n`;
}

function toolPart(
  { name, argumentsText }: ToolCall,
  toolCallId: string | undefined,
): Readonly<Record<string, unknown>> {
  const common = { toolCallId, toolName: name, dynamic: true };
  try {
    const input: unknown = argumentsText === '' ? {} : JSON.parse(argumentsText);
    return { type: 'tool-input-available', ...common, input };
  } catch {
    return {
      type: 'tool-input-error',
      ...common,
      input: argumentsText,
      errorText: 'The arguments are not valid JSON.',
    };
  }
}

type Citation = AnswerEnd['citations'][number];

function sourcePart({ index, title, url, externalKey }: Citation): Readonly<Record<string, unknown>> {
  const sourceId = String(index satisfies WireCitation['index']);
  if (url !== null) return { type: 'source-url', sourceId, url, title };
  const filename = externalKey === null ? {} : { filename: externalKey };
  return { type: 'source-document', sourceId, mediaType: 'text/plain', title, ...filename };
}
