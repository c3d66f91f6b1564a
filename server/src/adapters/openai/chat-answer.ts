import { randomUUID } from 'node:crypto';
import {
  type AnswerReader,
  createSaid,
  type FinishReason,
  type TokenUsage,
  type ToolCallDelta,
} from '../../llm/index.ts';
import { readChunk, type ToolCallPiece } from './chat-chunk.ts';
import { createChunkPattern } from './chunk-pattern.ts';

/** Reads an answer in chunks, or in one that holds all of it. */
export function createOpenAiAnswer(): AnswerReader {
  const said = createSaid();
  const toolCalls = createToolCallReader();
  let finishReason: FinishReason | null = null;
  let usage: TokenUsage | null = null;
  const pattern = createChunkPattern();
  return {
    skim(json) {
      const text = pattern.match(json);
      if (text === null) return false;
      said.text(text);
      return true;
    },
    read(value, json) {
      const chunk = readChunk(value);
      said.text(chunk.text);
      for (const piece of chunk.toolCalls) said.toolCall(toolCalls.read(piece));
      finishReason ??= chunk.finishReason;
      usage = chunk.usage ?? usage;
      const isText = chunk.toolCalls.length === 0 && chunk.finishReason === null && chunk.usage === null;
      if (json !== undefined && isText) pattern.learn(json, chunk.text);
      if (finishReason === null) return 'more';
      return usage === null ? 'finished' : 'done';
    },
    take: () => said.take(),
    end() {
      // Some servers end calls of tools with "stop".
      const called = finishReason === 'stop' && toolCalls.count() > 0;
      return { type: 'end', finishReason: called ? 'tool_calls' : (finishReason ?? 'stop'), usage };
    },
  };
}

/** Gives each call one number, one id and one name, whatever the server leaves out or repeats. */
function createToolCallReader() {
  const numbers = new Map<string, number>();
  let count = 0;

  /** A piece without an index belongs to the newest call, unless it has an id or a name of its own. */
  function numberOf({ index, id, name }: ToolCallPiece): { readonly key: string; readonly known: number | undefined } {
    if (index === null && id === null && name === null && count > 0) return { key: '', known: count - 1 };
    const key = index !== null ? `index ${index}` : id !== null ? `id ${id}` : `number ${count}`;
    return { key, known: numbers.get(key) };
  }

  return {
    count: () => count,
    read(piece: ToolCallPiece): Omit<ToolCallDelta, 'type'> {
      const { argumentsText, id, name } = piece;
      const { key, known } = numberOf(piece);
      if (known !== undefined) return { index: known, argumentsText };
      const index = count;
      numbers.set(key, index);
      count += 1;
      return { index, id: id || `call_${randomUUID().replaceAll('-', '')}`, name: name ?? '', argumentsText };
    },
  };
}
