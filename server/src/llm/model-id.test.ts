import { describe, expect, it } from 'vitest';
import { parseModelId } from './model-id.ts';

describe('model id', () => {
  it.each([
    ['openai/gpt-4o-mini', { provider: 'openai', model: 'gpt-4o-mini' }],
    ['OpenAI/gpt-4o', { provider: 'openai', model: 'gpt-4o' }],
    ['vllm/meta-llama/Llama-3.1-8B', { provider: 'vllm', model: 'meta-llama/Llama-3.1-8B' }],
    ['gpt-4o', { provider: 'openai', model: 'gpt-4o' }],
  ])('reads %s', (id, parts) => {
    expect(parseModelId(id, 'openai')).toEqual(parts);
  });

  it.each(['', '/', 'openai/', '/gpt-4o', 'openai/ gpt', 'open ai/gpt', 'openai//x'])('refuses %j', (id) => {
    expect(() => parseModelId(id, 'openai')).toThrow(expect.objectContaining({ code: 'model_not_found' }));
  });

  it('refuses a name without a provider when there is no default', () => {
    expect(() => parseModelId('gpt-4o')).toThrow(expect.objectContaining({ code: 'model_not_found' }));
  });
});
