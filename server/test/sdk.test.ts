import { createOpenAI } from '@ai-sdk/openai';
import { HumanMessage } from '@langchain/core/messages';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embedMany, generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';

const QUESTION = 'When does the bakery open on Sundays?';
const CONTENT = `# Opening hours

The bakery opens at 7:30 on weekdays. On Sundays the bakery opens at 9:15 and closes at noon.

# Bread

Our rye bread is baked with sourdough that is 40 years old.`;

describe('official clients with only base URL and key changed', () => {
  let server: BuiltServer;
  let baseURL = '';
  beforeAll(async () => {
    server = await startBuiltServer();
    baseURL = `${server.url}/v1`;
    await callServer(server, { path: '/v1/bots', json: { name: 'Bakery', slug: 'bakery' } });
    const { body } = await callServer(server, {
      path: '/v1/bots/bakery/sources',
      json: { type: 'text', title: 'Bakery', content: CONTENT },
    });
    await jobEnded(server, String(body['job_id']));
  });
  afterAll(() => server.stop());

  describe('openai', () => {
    const client = (): OpenAI => new OpenAI({ baseURL, apiKey: ADMIN_KEY, maxRetries: 0 });

    it('chats', async () => {
      const completion = await client().chat.completions.create({
        model: 'bakery',
        messages: [{ role: 'user', content: QUESTION }],
      });
      expect(completion.object).toBe('chat.completion');
      expect(completion.choices[0]?.message.content).toContain('9:15');
      expect(completion.choices[0]?.finish_reason).toBe('stop');
      expect(completion.usage?.total_tokens).toBeGreaterThan(0);
    });

    it('streams, with usage when asked for', async () => {
      const stream = await client().chat.completions.create({
        model: 'bakery',
        stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: 'user', content: QUESTION }],
      });
      let text = '';
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        usage = chunk.usage ?? usage;
      }
      expect(text).toContain('9:15');
      expect(usage?.completion_tokens).toBeGreaterThan(0);
    });

    it('embeds and lists models', async () => {
      const { data } = await client().embeddings.create({
        model: 'local/static-en',
        input: ['rye bread', 'sourdough bread', 'tax law'],
      });
      expect(data.map((item) => item.embedding.length)).toEqual([256, 256, 256]);
      const models = await client().models.list();
      expect(models.data.map((model) => model.id)).toEqual(expect.arrayContaining(['bakery', 'local/static-en']));
      expect((await client().models.retrieve('bakery')).object).toBe('model');
    });

    it('gets typed errors', async () => {
      const wrongKey = new OpenAI({ baseURL, apiKey: 'cs_live_wrong', maxRetries: 0 });
      await expect(wrongKey.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
      const unknownModel = client().chat.completions.create({
        model: 'nobody',
        messages: [{ role: 'user', content: 'x' }],
      });
      await expect(unknownModel).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    });
  });

  describe('LangChain', () => {
    const options = () => ({ apiKey: ADMIN_KEY, configuration: { baseURL }, maxRetries: 0 });

    it('chats, streams and embeds', async () => {
      const model = new ChatOpenAI({ model: 'bakery', ...options() });
      expect(String((await model.invoke([new HumanMessage(QUESTION)])).content)).toContain('9:15');
      let text = '';
      for await (const chunk of await model.stream(QUESTION)) text += String(chunk.content);
      expect(text).toContain('9:15');
      const embeddings = new OpenAIEmbeddings({ model: 'local/static-en', ...options() });
      expect(await embeddings.embedQuery('rye bread')).toHaveLength(256);
    });
  });

  describe('Vercel AI SDK', () => {
    const provider = () => createOpenAI({ baseURL, apiKey: ADMIN_KEY });

    it('chats, streams and embeds', async () => {
      const { text } = await generateText({ model: provider().chat('bakery'), prompt: QUESTION, maxRetries: 0 });
      expect(text).toContain('9:15');
      let streamed = '';
      for await (const part of streamText({ model: provider().chat('bakery'), prompt: QUESTION, maxRetries: 0 })
        .textStream)
        streamed += part;
      expect(streamed).toContain('9:15');
      const { embeddings } = await embedMany({
        model: provider().embedding('local/static-en'),
        values: ['rye', 'tax'],
        maxRetries: 0,
      });
      expect(embeddings.map((embedding) => embedding.length)).toEqual([256, 256]);
    });
  });
});
