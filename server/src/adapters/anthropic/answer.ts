import {
  type AnswerReader,
  countOrZero,
  createSaid,
  describeError,
  type FinishReason,
  field,
  items,
  type TokenUsage,
  textOrNull,
  toProviderError,
} from '../../llm/index.ts';

const FINISH_REASONS: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

/** Reads an answer in events, or in one message that holds all of it. Thoughts are left out. */
export function createAnthropicAnswer(): AnswerReader {
  const said = createSaid();
  const calls = new Map<unknown, number>();
  let counts: Readonly<Record<string, number>> | null = null;
  let finishReason: FinishReason | null = null;

  /** Later events repeat some of the counts, with what they have come to. */
  function addUsage(usage: unknown): void {
    if (typeof usage !== 'object' || usage === null) return;
    const given = Object.entries(usage).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    counts = { ...counts, ...Object.fromEntries(given) };
  }

  function beginBlock(key: unknown, block: unknown): void {
    if (field(block, 'type') === 'text') said.text(textOrNull(field(block, 'text')) ?? '');
    if (field(block, 'type') !== 'tool_use') return;
    const index = calls.size;
    calls.set(key, index);
    const id = textOrNull(field(block, 'id')) ?? '';
    said.toolCall({ index, id, name: textOrNull(field(block, 'name')) ?? '', argumentsText: '' });
  }

  function addToBlock(key: unknown, delta: unknown): void {
    if (field(delta, 'type') === 'text_delta') said.text(textOrNull(field(delta, 'text')) ?? '');
    const index = calls.get(key);
    const argumentsText = textOrNull(field(delta, 'partial_json'));
    if (index !== undefined && argumentsText !== null) said.toolCall({ index, argumentsText });
  }

  function addMessage(message: unknown): void {
    addUsage(field(message, 'usage'));
    for (const [position, block] of items(field(message, 'content')).entries()) {
      beginBlock(position, block);
      const input = field(block, 'input');
      const index = calls.get(position);
      if (index !== undefined) said.toolCall({ index, argumentsText: JSON.stringify(input ?? {}) });
    }
    finish(field(message, 'stop_reason'));
  }

  function finish(reason: unknown): void {
    if (typeof reason === 'string') finishReason ??= FINISH_REASONS[reason] ?? 'stop';
  }

  return {
    read(event) {
      const type = field(event, 'type');
      if (type === 'error') throw toProviderError({ status: null, ...describeError(field(event, 'error')) });
      if (type === 'message_start') addUsage(field(field(event, 'message'), 'usage'));
      else if (type === 'content_block_start') beginBlock(field(event, 'index'), field(event, 'content_block'));
      else if (type === 'content_block_delta') addToBlock(field(event, 'index'), field(event, 'delta'));
      else if (type === 'message') addMessage(event);
      else if (type === 'message_delta') {
        addUsage(field(event, 'usage'));
        finish(field(field(event, 'delta'), 'stop_reason'));
      }
      return finishReason === null ? 'more' : 'done';
    },
    take: () => said.take(),
    end: () => ({ type: 'end', finishReason: finishReason ?? 'stop', usage: counts === null ? null : usageOf(counts) }),
  };
}

/** Anthropic counts what was read from or written to its prompt cache apart from the rest of the input. */
function usageOf(counts: Readonly<Record<string, number>>): TokenUsage {
  const cached = countOrZero(counts['cache_read_input_tokens']);
  const written = countOrZero(counts['cache_creation_input_tokens']);
  return {
    inputTokens: countOrZero(counts['input_tokens']) + cached + written,
    outputTokens: countOrZero(counts['output_tokens']),
    ...(cached === 0 ? {} : { cachedInputTokens: cached }),
    ...(written === 0 ? {} : { cacheWriteTokens: written }),
  };
}
