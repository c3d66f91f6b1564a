import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnswerExtras } from '../src/http/contract/index.ts';
import { ADMIN_KEY, type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';
import { type Standin, startStandin } from './openai-standin.ts';

const QUESTION = 'At what temperature is green tea steeped?';
const TEA = 'Green tea is steeped at 75 degrees for two minutes.';

interface Listed {
  readonly data: readonly Readonly<Record<string, unknown>>[];
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly id: string;
  readonly text: string;
  readonly extras: AnswerExtras;
  readonly raw: string;
}

describe('the answer cache over HTTP', () => {
  let standin: Standin;
  let server: BuiltServer;
  beforeAll(async () => {
    standin = await startStandin({ tokens: ['At ', '75 ', 'degrees ', '[1]', '.'] });
    server = await startBuiltServer({
      env: {
        OPENAI_BASE_URL: standin.url,
        CHAT_MODEL: 'openai/gpt-test',
        EMBEDDING_MODEL: 'local/static-en',
        EMBEDDING_FOLLOWER: 'off',
        SEMANTIC_CACHE: 'on',
      },
    });
  });
  afterAll(async () => {
    await server.stop();
    await standin.stop();
  });

  const call = async <Body>(path: string, json?: unknown, method?: string): Promise<Body> => {
    const { status, body } = await callServer(server, {
      path,
      ...(json === undefined ? {} : { json }),
      ...(method === undefined ? {} : { method }),
    });
    expect(status, JSON.stringify(body)).toBeLessThan(300);
    return body as Body;
  };
  const modelCalls = (): number => standin.requests.filter(({ path }) => path.endsWith('/chat/completions')).length;

  async function ask(bot: string, more: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: bot, messages: [{ role: 'user', content: QUESTION }], ...more }),
    });
    return readAnswer(response, more['stream'] === true);
  }

  let made = 0;
  async function makeBot(...contents: readonly string[]): Promise<string> {
    made += 1;
    const { slug } = await call<{ readonly slug: string }>('/v1/bots', {
      name: `Cache ${made}`,
      slug: `cache-${made}`,
    });
    for (const [position, content] of contents.entries()) await put(slug, `doc-${position}`, content);
    return slug;
  }

  async function put(bot: string, key: string, content: string): Promise<string> {
    const source = await call<{ readonly id: string; readonly status: string; readonly job_id: string }>(
      `/v1/bots/${bot}/sources/by-key/${key}`,
      { type: 'text', title: key, content },
      'PUT',
    );
    if (source.status !== 'ready') await jobEnded(server, source.job_id);
    return source.id;
  }

  /** Asks once so that the answer is kept, and proves that it is. */
  async function fill(bot: string): Promise<void> {
    await ask(bot);
    expect((await ask(bot)).extras.cache).toBe('exact');
  }

  it('answers the same question again without the model, as an answer of its own', async () => {
    const bot = await makeBot(TEA);
    const before = modelCalls();
    const first = await ask(bot);
    const second = await ask(bot, { messages: [{ role: 'user', content: `  ${QUESTION}\n` }] });
    expect([first.extras.cache, second.extras.cache]).toEqual(['miss', 'exact']);
    expect([first, second].map(({ headers }) => headers.get('x-chatsphere-cache'))).toEqual(['miss', 'exact']);
    expect([first, second].map(({ headers }) => headers.get('x-chatsphere-attempts'))).toEqual(['1', '0']);
    expect(modelCalls() - before).toBe(1);
    expect(second.text).toBe(first.text);
    expect(second.extras).toMatchObject({ grounded: true, degraded: [], served_by: 'openai/gpt-test' });
    expect(second.extras.citations).toEqual(first.extras.citations);
    expect(second.id).not.toBe(first.id);
    const [citation] = second.extras.citations;
    if (citation === undefined) throw new Error('the kept answer cites nothing');
    const document = await call<{ readonly text: string }>(`/v1/documents/${citation.document_id}`);
    expect(document.text.slice(citation.start, citation.end)).toBe(citation.quote);
  });

  it('replays it as a stream', async () => {
    const bot = await makeBot(TEA);
    const first = await ask(bot, { stream: true });
    const second = await ask(bot, { stream: true, stream_options: { include_usage: true } });
    expect([first.extras.cache, second.extras.cache]).toEqual(['miss', 'exact']);
    expect(second.headers.get('content-type')).toContain('text/event-stream');
    expect(second.headers.get('x-chatsphere-cache')).toBe('exact');
    expect(second.text).toBe(first.text);
    expect(second.id).not.toBe(first.id);
    expect(second.raw.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  it('keeps question and answer in the conversation of each who asks, which then matters', async () => {
    const bot = await makeBot(TEA);
    const [one, other] = [await ask(bot, { conversation: true }), await ask(bot, { conversation: true })];
    expect(other.extras.cache).toBe('exact');
    expect(other.extras.conversation).not.toBe(one.extras.conversation);
    const { data } = await call<Listed>(`/v1/conversations/${other.extras.conversation}/messages?order=asc`);
    expect(data).toMatchObject([
      { role: 'user', content: QUESTION },
      { id: other.id, role: 'assistant', content: other.text },
    ]);
    const followUp = await ask(bot, { conversation: other.extras.conversation });
    expect(followUp.extras.cache).toBe('miss');
  });

  it('neither reads nor keeps what is asked with the cache off', async () => {
    const bot = await makeBot(TEA);
    const off = { 'x-chatsphere-cache': 'off' };
    expect((await ask(bot, {}, off)).extras.cache).toBe('miss');
    expect((await ask(bot)).extras.cache).toBe('miss');
    expect((await ask(bot, {}, off)).extras.cache).toBe('miss');
    expect((await ask(bot)).extras.cache).toBe('exact');
    await call(`/v1/bots/${bot}`, { metadata: { answer_cache: 'off' } }, 'PATCH');
    await ask(bot);
    expect((await ask(bot)).extras.cache).toBe('miss');
  });

  it('tells questions, settings and bots apart', async () => {
    const [bot, other] = [await makeBot(TEA), await makeBot(TEA)];
    await fill(bot);
    expect((await ask(other)).extras.cache).toBe('miss');
    const different: Record<string, unknown>[] = [
      { temperature: 0.1 },
      { max_tokens: 50 },
      { stop: ['END'] },
      { messages: [{ role: 'user', content: 'At what temperature is green tea drunk?' }] },
      {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: QUESTION },
        ],
      },
      {
        messages: [
          { role: 'user', content: 'Hello' },
          { role: 'assistant', content: 'Hello!' },
          { role: 'user', content: QUESTION },
        ],
      },
    ];
    for (const more of different) expect((await ask(bot, more)).extras.cache, JSON.stringify(more)).toBe('miss');
    for (const more of different) expect((await ask(bot, more)).extras.cache, JSON.stringify(more)).toBe('exact');
    expect((await ask(bot, { user: 'somebody' })).extras.cache).toBe('exact');
  });

  it('answers what asks the same in other words, until the content changes', async () => {
    const bot = await makeBot(TEA);
    await ask(bot);
    const before = modelCalls();
    const messages = [{ role: 'user', content: 'Can you tell me at what temperature green tea is steeped?' }];
    const reworded = [{ role: 'user', content: 'Hi, at what temperature is the green tea steeped, please?' }];
    const similar = await ask(bot, { messages: reworded, stream: true });
    expect(similar.headers.get('x-chatsphere-cache')).toBe('semantic');
    expect(similar.extras).toMatchObject({ cache: 'semantic', grounded: true });
    expect(modelCalls()).toBe(before);
    const white = [{ role: 'user', content: QUESTION.replace('green', 'white') }];
    for (const other of [messages, white]) expect((await ask(bot, { messages: other })).extras.cache).toBe('miss');
    await put(bot, 'doc-0', 'Green tea is steeped at 80 degrees.');
    expect((await ask(bot, { messages: reworded })).extras.cache).toBe('miss');
  });

  it('does not keep answers that failed or were cut', async () => {
    const bot = await makeBot(TEA);
    standin.settings.nextFaults.push('reset_mid_stream', 'content_filter');
    const broken = await ask(bot, { stream: true });
    expect(broken.raw).not.toContain('[DONE]');
    const filtered = await ask(bot, { stream: true });
    expect(filtered.extras.cache).toBe('miss');
    expect((await ask(bot)).extras.cache).toBe('miss');
    expect((await ask(bot)).extras.cache).toBe('exact');
  });

  it.each([true, false])('makes one call for 200 equal questions at once (stream: %s)', async (stream) => {
    const bot = await makeBot(TEA);
    const before = modelCalls();
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(bot, { stream })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(200);
    expect(answers.filter(({ extras }) => extras.cache === 'miss')).toHaveLength(1);
    expect(answers.filter(({ headers }) => headers.get('x-chatsphere-attempts') === '1')).toHaveLength(1);
    expect(modelCalls() - before).toBe(1);
  });

  describe('is invalid with the response to', () => {
    const changes: Record<string, (bot: string) => Promise<unknown>> = {
      'a new source that is ready': (bot) => put(bot, 'more', 'White tea is steeped at 70 degrees.'),
      'a replaced source': (bot) => put(bot, 'doc-0', 'Green tea is steeped at 80 degrees.'),
      'a deleted source': async (bot) => {
        const { data } = await call<Listed>(`/v1/bots/${bot}/sources`);
        await call(`/v1/bots/${bot}/sources/${data[0]?.['id']}`, undefined, 'DELETE');
      },
      'the commit of a sync run': async (bot) => {
        const form = new FormData();
        form.append('external_key', 'oolong.md');
        form.append('file', new Blob(['Oolong is steeped at 90 degrees.']), 'oolong.md');
        const { body } = await callServer(server, { path: `/v1/bots/${bot}/sources`, form });
        await jobEnded(server, String(body['job_id']));
        await fill(bot);
        const run = await call<{ readonly id: string }>(`/v1/bots/${bot}/sync_runs`, { manifest: [], prune: true });
        await call(`/v1/bots/${bot}/sync_runs/${run.id}/commit`, {});
      },
      'changed instructions': (bot) => call(`/v1/bots/${bot}`, { instructions: 'Speak of tea alone.' }, 'PATCH'),
      'another model': (bot) => call(`/v1/bots/${bot}`, { model: 'openai/gpt-other' }, 'PATCH'),
      'changed retrieval': (bot) => call(`/v1/bots/${bot}`, { retrieval: { max_num_results: 3 } }, 'PATCH'),
    };
    for (const [what, change] of Object.entries(changes)) {
      it(what, async () => {
        const bot = await makeBot(TEA, 'Black tea is steeped at 95 degrees.');
        await fill(bot);
        await change(bot);
        expect((await ask(bot)).extras.cache).toBe('miss');
        expect((await ask(bot)).extras.cache).toBe('exact');
      });
    }

    it('another index generation, and the way back', async () => {
      const bot = await makeBot(TEA);
      await fill(bot);
      const chunking_strategy = { type: 'static', static: { max_chunk_size_tokens: 200, chunk_overlap_tokens: 50 } };
      const generation = await call<{ readonly id: string; readonly job_id: string }>(`/v1/bots/${bot}/generations`, {
        chunking_strategy,
        activate: 'manual',
      });
      await jobEnded(server, generation.job_id);
      expect((await ask(bot)).extras.cache).toBe('exact');
      await call(`/v1/bots/${bot}/generations/${generation.id}/activate`, {});
      expect((await ask(bot)).extras.cache).toBe('miss');
      expect((await ask(bot)).extras.cache).toBe('exact');
      await call(`/v1/bots/${bot}/generations/rollback`, {});
      expect((await ask(bot)).extras.cache).toBe('miss');
    });
  });
});

async function readAnswer(response: Response, isStream: boolean): Promise<Answer> {
  const raw = await response.text();
  const { status, headers } = response;
  if (!isStream) {
    const body = JSON.parse(raw);
    const message = body.choices?.[0]?.message;
    return { status, headers, raw, id: body.id, text: message?.content, extras: message?.chatsphere };
  }
  const chunks = raw
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)));
  const text = chunks.map((chunk) => chunk.choices?.[0]?.delta?.content ?? '').join('');
  return {
    status,
    headers,
    raw,
    id: chunks[0]?.id,
    text,
    extras: chunks.find((chunk) => chunk.chatsphere)?.chatsphere,
  };
}
