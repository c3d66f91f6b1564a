// Clients of several servers behind one address, that ask again as soon as they are answered: questions streamed and whole,
// searches, reads, and uploads that may be repeated and others that may not. Notes each request that failed.
import { sleep } from './server.mjs';

const KINDS = ['stream', 'stream', 'question', 'search', 'read', 'put', 'post'];
const LONG = ['long'];
const MOST_DETAILS = 20;

let lastRequest = 0;

/**
 * Runs until `stop()`, which gives what came of it: each failure with the number of its request, which stands in the query of the
 * address, and when it was begun. `bot` is a bot with content, `longBot` one that takes its time: `longClients` ask it for streams alone.
 */
export function createLoad({ url, key, bot, clients, longBot, longClients }) {
  const result = { requests: 0, kinds: {}, failures: [] };
  let isOver = false;
  const authorization = { authorization: `Bearer ${key}` };
  const json = { ...authorization, 'content-type': 'application/json' };
  const send = (method, path, body) =>
    fetch(url + path, {
      method,
      headers: body instanceof FormData || body === undefined ? authorization : json,
      body: body instanceof FormData || body === undefined ? body : JSON.stringify(body),
    });

  const ask = {
    stream: (request) =>
      expectWhole(send('POST', `/v1/chat/completions?request=${request}`, question(request, true)), '[DONE]'),
    long: (request) =>
      expectWhole(send('POST', `/v1/chat/completions?request=${request}`, question(request, true, longBot)), '[DONE]'),
    question: (request) =>
      expectWhole(send('POST', `/v1/chat/completions?request=${request}`, question(request, false)), '}'),
    search: (request) =>
      expectWhole(send('POST', `/v1/bots/${bot}/search?request=${request}`, { query: 'About?' }), '}'),
    read: (request) => expectWhole(send('GET', `/v1/bots/${bot}?request=${request}`), '}'),
    put: (request) => {
      const source = { type: 'text', title: 'Text', content: `Text ${request} says a little of everything.` };
      const path = `/v1/bots/${bot}/sources/by-key/load-${request % 50}?request=${request}`;
      return expectWhole(send('PUT', path, source), '}');
    },
    post: (request) => {
      const form = new FormData();
      form.append('file', new Blob([`File ${request} says a little of everything.`]), `file-${request}.txt`);
      return expectWhole(send('POST', `/v1/bots/${bot}/sources?request=${request}`, form), '}');
    },
  };

  function question(request, stream, model = bot) {
    return { model, stream, messages: [{ role: 'user', content: `Question ${request}: what is it about?` }] };
  }

  async function client(kinds, first) {
    for (let turn = first; !isOver; turn += 1) {
      const kind = kinds[turn % kinds.length];
      lastRequest += 1;
      const request = lastRequest;
      const begunAt = performance.now();
      result.requests += 1;
      result.kinds[kind] = (result.kinds[kind] ?? 0) + 1;
      try {
        await ask[kind](request);
      } catch (error) {
        const what = `${new Date().toISOString()} ${kind} ${request}: ${error.message} ${error.cause?.message ?? ''}`;
        result.failures.push({ request, begunAt, what: what.trim() });
        await sleep(20);
      }
    }
  }

  const running = Promise.all([
    ...Array.from({ length: clients }, (_, number) => client(KINDS, number)),
    ...Array.from({ length: longClients }, () => client(LONG, 0)),
  ]);
  return {
    async stop() {
      isOver = true;
      await running;
      return result;
    },
  };
}

/** What is shown of failures. */
export function detailsOf(failures) {
  return failures.slice(0, MOST_DETAILS).map(({ what }) => what);
}

async function expectWhole(asked, ending) {
  const response = await asked;
  const text = await response.text();
  if (response.status >= 300 || !text.trimEnd().endsWith(ending))
    throw new Error(`${response.status} ${text.slice(-300)} x-request-id ${response.headers.get('x-request-id')}`);
}
