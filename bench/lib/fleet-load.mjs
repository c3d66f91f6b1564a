// Clients of several servers behind one address, that ask again as soon as they are answered: questions streamed and whole,
// searches, reads and uploads. Notes each request that failed.
import { sleep } from './server.mjs';

const KINDS = ['stream', 'stream', 'question', 'search', 'read', 'upload'];
const MOST_DETAILS = 20;

/** Runs until `stop()`, which gives what came of it. `bot` is a bot with content. */
export function createLoad({ url, key, bot, clients }) {
  const result = { requests: 0, failed: 0, details: [] };
  let isOver = false;
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const send = (method, path, json) =>
    fetch(`${url}${path}`, { method, headers, ...(json === undefined ? {} : { body: JSON.stringify(json) }) });

  async function expectWhole(response, isWhole) {
    const text = await response.text();
    if (response.status >= 300 || !isWhole(text))
      throw new Error(`${response.status} ${text.slice(-300)} x-request-id ${response.headers.get('x-request-id')}`);
  }

  const ask = {
    stream: async (number) =>
      expectWhole(await send('POST', '/v1/chat/completions', question(number, true)), (text) =>
        text.trimEnd().endsWith('data: [DONE]'),
      ),
    question: async (number) =>
      expectWhole(await send('POST', '/v1/chat/completions', question(number, false)), (text) => text.endsWith('}')),
    search: async () =>
      expectWhole(await send('POST', `/v1/bots/${bot}/search`, { query: 'What is it about?' }), (text) =>
        text.endsWith('}'),
      ),
    read: async () => expectWhole(await send('GET', `/v1/bots/${bot}`), (text) => text.endsWith('}')),
    upload: async (number) => {
      const json = { type: 'text', title: 'Text', content: `Text ${number} says a little of everything.` };
      await expectWhole(await send('PUT', `/v1/bots/${bot}/sources/by-key/load-${number % 50}`, json), (text) =>
        text.endsWith('}'),
      );
    },
  };

  function question(number, stream) {
    return { model: bot, stream, messages: [{ role: 'user', content: `Question ${number}: what is it about?` }] };
  }

  async function client(first) {
    for (let number = first; !isOver; number += clients) {
      const kind = KINDS[number % KINDS.length];
      result.requests += 1;
      try {
        await ask[kind](number);
      } catch (error) {
        result.failed += 1;
        if (result.details.length < MOST_DETAILS)
          result.details.push(`${new Date().toISOString()} ${kind}: ${error.message} ${error.cause?.message ?? ''}`);
        await sleep(20);
      }
    }
  }

  const running = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return {
    async stop() {
      isOver = true;
      await running;
      return result;
    },
  };
}
