import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ChatSphereChatModel, ChatSphereRetriever } from '@chatsphere/server/langchain';
import { StringOutputParser } from '@langchain/core/output_parsers';
import { ChatPromptTemplate } from '@langchain/core/prompts';
import { RunnablePassthrough, RunnableSequence } from '@langchain/core/runnables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';
import { type Standin, startStandin } from './openai-standin.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const QUESTION = 'When does the bakery open on Sundays?';

/** The types of LangChain.js do not know the usage of a message of no particular model. */
function tokensOf(message: unknown): unknown {
  return (message as { readonly usage_metadata?: { readonly total_tokens: number } } | null)?.usage_metadata
    ?.total_tokens;
}

describe('ChatSphere AI in programs of LangChain.js', () => {
  let server: BuiltServer;
  let standin: Standin;
  beforeAll(async () => {
    standin = await startStandin({ tokens: ['At', ' 9:15', ' [1].'] });
    server = await startBuiltServer({
      env: { OPENAI_BASE_URL: standin.url, EMBEDDING_MODEL: 'local/static-en', ANSWER_CACHE: 'off' },
    });
    await callServer(server, {
      path: '/v1/bots',
      json: { name: 'Bakery', slug: 'bakery', model: 'chatsphere/extractive' },
    });
    await callServer(server, { path: '/v1/bots', json: { name: 'Writer', slug: 'writer', model: 'openai/gpt-test' } });
    const source = (title: string, content: string) =>
      callServer(server, {
        path: '/v1/bots/bakery/sources',
        json: { type: 'text', title, content, metadata: { kind: title.toLowerCase() } },
      });
    for (const { body } of [
      await source('Hours', 'On Sundays the bakery opens at 9:15 and closes at noon.'),
      await source('Bread', 'Our rye bread is baked on Sundays too, with sourdough that is 40 years old.'),
    ]) {
      await jobEnded(server, String(body['job_id']));
    }
  });
  afterAll(async () => {
    await server.stop();
    await standin.stop();
  });

  const fields = (bot = 'bakery') => ({ baseUrl: server.url, apiKey: ADMIN_KEY, bot });
  const model = (bot?: string) => new ChatSphereChatModel({ ...fields(bot), maxRetries: 0 });

  describe('the retriever', () => {
    it('gives documents with all that leads back to their sources', async () => {
      const documents = await new ChatSphereRetriever({ ...fields(), k: 1 }).invoke(QUESTION);
      expect(documents).toHaveLength(1);
      expect(documents[0]?.pageContent).toContain('9:15');
      expect(documents[0]?.id).toBe(documents[0]?.metadata.chunk_id);
      expect(documents[0]?.metadata).toMatchObject({
        source: 'Hours',
        title: 'Hours',
        source_id: expect.stringMatching(/^src_/),
        document_id: expect.stringMatching(/^doc_/),
        start: 0,
        end: expect.any(Number),
        score: expect.any(Number),
        url: null,
        page: null,
      });
    });

    it('filters, and leaves out what scores too low', async () => {
      const filter = { type: 'eq', key: 'kind', value: 'bread' };
      const filtered = await new ChatSphereRetriever({ ...fields(), filter }).invoke(QUESTION);
      expect(filtered.map(({ metadata }) => metadata.title)).toEqual(['Bread']);
      const best = await new ChatSphereRetriever({ ...fields(), scoreThreshold: 0.99 }).invoke(QUESTION);
      expect(best.length).toBeLessThan(2);
    });

    it('stops for a signal, also beside calls without one, and says why it failed', async () => {
      const retriever = new ChatSphereRetriever(fields());
      const aborted = retriever.invoke(QUESTION, { signal: AbortSignal.abort(new Error('left')) });
      const [stopped, found] = await Promise.allSettled([aborted, retriever.invoke(QUESTION)]);
      expect(stopped).toMatchObject({ status: 'rejected', reason: { message: 'left' } });
      expect(found).toMatchObject({ status: 'fulfilled' });
      const unknown = new ChatSphereRetriever(fields('nobody')).invoke(QUESTION);
      await expect(unknown).rejects.toMatchObject({ name: 'ChatSphereError', status: 404, code: 'bot_not_found' });
    });
  });

  describe('the chat model', () => {
    it('answers with citations and usage', async () => {
      const message = await model().invoke(QUESTION);
      expect(message.text).toContain('9:15');
      expect(message.response_metadata).toMatchObject({
        finish_reason: 'stop',
        chatsphere: { grounded: true, citations: [{ title: 'Hours' }], served_by: 'chatsphere/extractive' },
      });
      expect(tokensOf(message)).toBeGreaterThan(0);
    });

    it('streams, and its chunks add up to the same', async () => {
      let whole = null;
      let chunks = 0;
      for await (const chunk of await model('writer').stream('Hello')) {
        whole = whole === null ? chunk : whole.concat(chunk);
        chunks += 1;
      }
      expect(chunks).toBeGreaterThan(2);
      expect(whole?.text).toContain('At 9:15');
      expect(tokensOf(whole)).toBeGreaterThan(0);
      expect(whole?.response_metadata).toMatchObject({
        finish_reason: 'stop',
        chatsphere: { served_by: 'openai/gpt-test' },
      });
    });

    it('goes on with a conversation', async () => {
      const first = await model().invoke(QUESTION, { conversation: true });
      const { conversation } = first.response_metadata['chatsphere'] as { conversation: string };
      expect(conversation).toMatch(/^conv_/);
      const second = await model().invoke('And when does it close?', { conversation });
      expect(second.response_metadata['chatsphere']).toMatchObject({ conversation });
    });

    it('stops for a signal, and the call behind it is cancelled', async () => {
      standin.settings.nextFaults = ['hang_mid_stream'];
      const controller = new AbortController();
      const reading = (async () => {
        for await (const chunk of await model('writer').stream('Hi', { signal: controller.signal })) {
          if (chunk.text !== '') controller.abort();
        }
      })();
      await expect(reading).rejects.toThrow(/abort/i);
      await standin.untilAbort();
    });

    it('never ends cleanly on a stream that broke off, and repeats what the server says', async () => {
      standin.settings.nextFaults = ['error_event', 'error_event', 'error_event', 'error_event'];
      const reading = (async () => {
        for await (const _ of await model('writer').stream('Hi'));
      })();
      await expect(reading).rejects.toMatchObject({
        name: 'ChatSphereError',
        code: expect.stringMatching(/^provider|stream/),
      });
      await expect(model('nobody').invoke('Hi')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    });

    it('offers tools, reads their calls and gives structured output', async () => {
      const bodies: Record<string, unknown>[] = [];
      const piece = (call: object) =>
        `data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [{ index: 0, ...call }] } }] })}\n\n`;
      const fetch = async (_url: unknown, init?: { body?: unknown }) => {
        const body = JSON.parse(String(init?.body)) as Record<string, unknown>;
        bodies.push(body);
        const called = { name: 'hours', arguments: '{"opens":"9:15"}' };
        if (body['stream'] === false) {
          const message = { content: null, tool_calls: [{ id: 'call_1', type: 'function', function: called }] };
          return Response.json({ choices: [{ message, finish_reason: 'tool_calls' }] });
        }
        const frames = [
          piece({ id: 'call_1', function: { name: 'hours', arguments: '{"opens"' } }),
          piece({ function: { arguments: ':"9:15"}' } }),
          'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n',
        ];
        return new Response(frames.join(''));
      };
      const asked = new ChatSphereChatModel({ ...fields(), fetch: fetch as typeof globalThis.fetch });
      const schema = { title: 'hours', type: 'object', properties: { opens: { type: 'string' } } };
      expect(await asked.withStructuredOutput(schema, { name: 'hours' }).invoke(QUESTION)).toEqual({ opens: '9:15' });
      expect(bodies[0]).toMatchObject({ tools: [{ type: 'function', function: { parameters: schema } }] });
      const tool = { name: 'hours', description: 'Says', schema };
      let whole = null;
      for await (const chunk of await asked.bindTools([tool], { tool_choice: 'any' }).stream(QUESTION)) {
        whole = whole === null ? chunk : whole.concat(chunk);
      }
      expect(whole?.tool_calls).toMatchObject([{ id: 'call_1', name: 'hours', args: { opens: '9:15' } }]);
      expect(bodies[1]).toMatchObject({ tool_choice: 'required', tools: [{ function: { name: 'hours' } }] });
    });

    it('works in a chain behind the retriever', async () => {
      const chain = RunnableSequence.from([
        {
          context: new ChatSphereRetriever({ ...fields(), k: 1 }).pipe((documents) =>
            documents.map(({ pageContent }) => pageContent).join('\n'),
          ),
          question: new RunnablePassthrough(),
        },
        ChatPromptTemplate.fromTemplate('{question} Known: {context}'),
        model('writer'),
        new StringOutputParser(),
      ]);
      standin.settings.nextFaults = [];
      expect(await chain.invoke(QUESTION)).toContain('At 9:15');
      expect(JSON.stringify(standin.requests.at(-1)?.body)).toContain('closes at noon');
    });
  });

  it('is used as the documentation says', async () => {
    const docs = await readFile(new URL('../../docs/langchain.md', import.meta.url), 'utf8');
    const programs = [...docs.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = '']) => code);
    expect(programs.length).toBeGreaterThan(2);
    for (const program of programs) {
      const code = program.replaceAll('http://127.0.0.1:3000', server.url).replaceAll("'demo'", "'bakery'");
      const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
        env: { PATH: process.env['PATH'], CHATSPHERE_API_KEY: ADMIN_KEY },
        cwd: ROOT,
      });
      expect((await run).stdout).not.toBe('');
    }
  });
});
