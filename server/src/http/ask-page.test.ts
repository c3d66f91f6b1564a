import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { parseHTML } from 'linkedom';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { END, START, scripted, startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
let key: string;
beforeAll(async () => {
  server = await startTestServer();
  await server.call({ method: 'POST', url: '/v1/bots', json: { name: 'Demo' } });
  key = await server.key(['chat']);
});
afterAll(() => server.stop());

const script = readFileSync(new URL('./assets/ask.js', import.meta.url), 'utf8');
const template = readFileSync(new URL('./assets/ask.html', import.meta.url), 'utf8');

/** The page with its script running in it, and this server behind it. */
function openPage() {
  const { document } = parseHTML(template.replace('{{bot}}', 'demo').replace('{{key}}', key));
  const fetch = async (url: string, options: { headers: Record<string, string>; body: string; method: 'POST' }) => {
    const { status, text, headers } = await server.call({ ...options, url, payload: options.body, key: null });
    return new Response(text, { status, headers });
  };
  for (const element of document.querySelectorAll('input, button')) Object.assign(element, { focus: () => {} });
  runInNewContext(script, { document, fetch, AbortController, TextDecoderStream, Error, TypeError, JSON });
  const part = (id: string) => {
    const element = document.getElementById(id);
    if (element === null) throw new Error(`The page has no ${id}`);
    return element;
  };
  return {
    part,
    async ask(question: string) {
      Object.assign(part('question'), { value: question });
      const submit = new (document.defaultView?.Event ?? Event)('submit', { cancelable: true });
      part('ask').dispatchEvent(submit);
      await expect.poll(() => part('stop').hasAttribute('hidden'), { interval: 1 }).toBe(true);
    },
  };
}

beforeEach(() => {
  server.answer = () => scripted('Hello [1], not [2]');
});

describe('the page', () => {
  it('shows the answer with its markers as links to title and quote', async () => {
    const page = openPage();
    await page.ask('Hi');
    expect(page.part('answer').textContent).toBe('Hello [1], not [2]');
    const links = [...page.part('answer').querySelectorAll('a')].map((link) => link.getAttribute('href'));
    expect(links).toEqual(['#source-1']);
    expect(page.part('source-1').textContent).toContain('Guide');
    expect(page.part('source-1').querySelector('blockquote')?.textContent).toBe('Hello');
    expect(page.part('status').textContent).toBe('Done.');
  });

  it('shows markup in an answer as the text it is', async () => {
    server.answer = () => scripted('<img src=x onerror=alert(1)>');
    const page = openPage();
    await page.ask('Hi');
    expect(page.part('answer').querySelector('img')).toBeNull();
    expect(page.part('answer').textContent).toBe('<img src=x onerror=alert(1)>');
  });

  it('says what went wrong, before the answer and within it', async () => {
    server.answer = async function* () {
      yield START;
      throw new AppError('stream_interrupted', 'The answer broke off. Ask again.');
    };
    const page = openPage();
    await page.ask('Hi');
    expect(page.part('status').textContent).toBe('The answer broke off. Ask again.');
    // biome-ignore lint/correctness/useYield: it fails first
    server.answer = async function* () {
      throw new AppError('provider_rate_limited', 'Busy.', { retryAfterMs: 3000 });
    };
    await page.ask('Hi');
    expect(page.part('status').textContent).toBe('Busy. (in 3 s)');
    expect(page.part('status').className).toBe('bad');
  });

  it('says when nothing in the content answers', async () => {
    server.answer = async function* () {
      yield START;
      yield { type: 'text-delta', text: 'I do not know.' } as const;
      yield { ...END, grounded: false, citations: [] } as typeof END;
    };
    const page = openPage();
    await page.ask('Hi');
    expect(page.part('status').textContent).toContain('No passage');
    expect(page.part('notes').hasAttribute('hidden')).toBe(true);
  });
});
