import type { AddressInfo } from 'node:net';
import { createOpenAI } from '@ai-sdk/openai';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embed, generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { END, START, scripted, startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
let baseURL: string;
let apiKey: string;
beforeAll(async () => {
  server = await startTestServer();
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Guide' } });
  await server.app.listen({ port: 0, host: '127.0.0.1' });
  baseURL = `http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}/v1`;
  apiKey = await server.key(['chat', 'search']);
});
afterAll(() => server.stop());

const messages = [{ role: 'user' as const, content: 'Hi' }];

describe('the official openai SDK', () => {
  const client = () => new OpenAI({ baseURL, apiKey, maxRetries: 0 });

  it('chats', async () => {
    const answer = await client().chat.completions.create({ model: 'guide', messages });
    expect(answer.choices[0]?.message.content).toBe('Hello [1]');
    expect(answer.usage?.total_tokens).toBe(15);
  });

  it('streams, and finds the citations on the finished message', async () => {
    server.answer = () => scripted('Hel', 'lo [1]');
    const stream = client().chat.completions.stream({
      model: 'guide',
      messages,
      stream_options: { include_usage: true },
    });
    const completion = await stream.finalChatCompletion();
    const message = completion.choices[0]?.message as { content: string; chatsphere?: { citations: unknown[] } };
    expect(message.content).toBe('Hello [1]');
    expect(message.chatsphere?.citations).toHaveLength(1);
    expect(completion.usage?.total_tokens).toBe(15);
  });

  it('calls tools, and sends back what they answered', async () => {
    server.answer = async function* () {
      yield START;
      yield { type: 'tool-call-delta', index: 0, id: 'call_1', name: 'weather', argumentsText: '' };
      yield { type: 'tool-call-delta', index: 0, argumentsText: '{"city":"Rome"}' };
      if (END.type === 'end') yield { ...END, finishReason: 'tool_calls' };
    };
    const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } }];
    const asked = { model: 'guide', messages, tools, tool_choice: 'auto' as const };
    const answer = await client().chat.completions.create(asked);
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    const streamed = await client().chat.completions.stream(asked).finalChatCompletion();
    for (const { choices } of [answer, streamed]) {
      expect(choices[0]?.message.tool_calls).toMatchObject([
        { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
      ]);
    }
    server.answer = () => scripted('Hello [1]');
    const message = answer.choices[0]?.message ?? { role: 'assistant' as const };
    const result = { role: 'tool' as const, tool_call_id: 'call_1', content: 'Sunny' };
    await client().chat.completions.create({ ...asked, messages: [...messages, message, result] });
    expect(server.asked.at(-1)).toMatchObject({
      tools: [{ name: 'weather', parameters: { type: 'object' } }],
      toolChoice: 'auto',
      messages: [
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: '',
          toolCalls: [{ id: 'call_1', name: 'weather', argumentsText: '{"city":"Rome"}' }],
        },
        { role: 'tool', content: 'Sunny', toolCallId: 'call_1' },
      ],
    });
  });

  it('throws when the answer breaks off', async () => {
    server.answer = async function* () {
      yield START;
      throw new AppError('stream_interrupted', 'The answer broke off.');
    };
    const reading = async () => {
      const stream = await client().chat.completions.create({ model: 'guide', messages, stream: true });
      for await (const _chunk of stream);
    };
    await expect(reading()).rejects.toThrow(/broke off/);
    server.answer = () => scripted('Hello [1]');
  });

  it('embeds, in its own base64 and in numbers', async () => {
    for (const format of [undefined, 'float' as const]) {
      const answer = await client().embeddings.create({
        model: 'local/static-en',
        input: ['a', 'b'],
        ...(format && { encoding_format: format }),
      });
      expect(answer.data.map((item) => item.embedding)).toEqual([
        [1, 0.5, -0.25],
        [1, 0.5, -0.25],
      ]);
    }
  });

  it('lists and gets models', async () => {
    const ids = [];
    for await (const model of client().models.list()) ids.push(model.id);
    expect(ids).toEqual(['guide', 'local/static-en']);
    expect((await client().models.retrieve('local/static-en')).id).toBe('local/static-en');
  });

  it('knows our errors as its own', async () => {
    const unknown = client().chat.completions.create({ model: 'none', messages });
    await expect(unknown).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(unknown).rejects.toMatchObject({
      code: 'model_not_found',
      param: 'model',
      requestID: expect.stringMatching(/^req_/),
    });
    const keyless = new OpenAI({ baseURL, apiKey: 'cs_live_wrong', maxRetries: 0 });
    await expect(keyless.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });
});

describe('LangChain', () => {
  it('chats, streams and embeds', async () => {
    const configuration = { baseURL };
    const model = new ChatOpenAI({ model: 'guide', apiKey, configuration, maxRetries: 0 });
    expect((await model.invoke('Hi')).content).toBe('Hello [1]');
    let text = '';
    for await (const chunk of await model.stream('Hi')) text += chunk.content;
    expect(text).toBe('Hello [1]');
    const embeddings = new OpenAIEmbeddings({ model: 'local/static-en', apiKey, configuration, maxRetries: 0 });
    expect(await embeddings.embedQuery('x')).toEqual([1, 0.5, -0.25]);
  });
});

describe('the Vercel AI SDK', () => {
  it('chats, streams and embeds', async () => {
    const provider = createOpenAI({ baseURL, apiKey });
    const model = provider.chat('guide');
    expect((await generateText({ model, prompt: 'Hi', maxRetries: 0 })).text).toBe('Hello [1]');
    const { textStream } = streamText({ model, prompt: 'Hi', system: 'Be brief.', maxRetries: 0 });
    let text = '';
    for await (const part of textStream) text += part;
    expect(text).toBe('Hello [1]');
    const { embedding } = await embed({ model: provider.embedding('local/static-en'), value: 'x', maxRetries: 0 });
    expect(embedding).toEqual([1, 0.5, -0.25]);
  });
});
