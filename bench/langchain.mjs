// What a class of LangChain.js costs beside the server's own adapter: processor time a streamed chunk, in turns, in one run.
// node bench/langchain.mjs [--chunks 2000] [--rounds 7]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    chunks: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '7' },
    serve: { type: 'boolean', default: false },
  },
});
const CHUNKS = Number(values.chunks);
const ROUNDS = Number(values.rounds);

/** The provider: a process of its own, so that its time is not counted. */
function serve() {
  const frame = (delta, reason) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
  const frames = [
    frame({ role: 'assistant', content: '' }, null),
    ...Array.from({ length: CHUNKS }, (_, n) => frame({ content: ` word${n % 100}` }, null)),
    frame({}, 'stop'),
    'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16}}\n\n',
    'data: [DONE]\n\n',
  ];
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const text of frames) response.write(text);
    response.end();
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

async function measure() {
  const provider = fork(fileURLToPath(import.meta.url), ['--serve', '--chunks', String(CHUNKS)]);
  const [port] = await once(provider, 'message');
  const baseUrl = `http://127.0.0.1:${port}/v1`;
  const adapters = new URL('../server/dist/adapters/', import.meta.url);
  const { createOpenAiChatModel } = await import(new URL('openai/index.js', adapters).href);
  const { loadLangChain } = await import(new URL('langchain/index.js', adapters).href);
  const options = { model: 'm', apiKey: 'k', configuration: { baseURL: baseUrl } };
  const part = { module: '@langchain/openai', className: 'ChatOpenAI', options, requiresFinishReason: null };
  const langChain = await loadLangChain(
    { chatModels: new Map([['m', part]]), embeddings: new Map(), vectorStore: null, secrets: [] },
    [process.cwd()],
  );
  const models = {
    'own adapter': createOpenAiChatModel({ baseUrl, apiKey: 'k', model: 'm' }),
    'LangChain ChatOpenAI': langChain.createChatModel('m'),
  };
  const times = Object.fromEntries(Object.keys(models).map((name) => [name, []]));
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const [name, model] of Object.entries(models)) {
      const before = process.cpuUsage();
      let events = 0;
      for await (const _ of model.doStream({ messages: [{ role: 'user', content: 'x' }], grounding: null }, {}))
        events += 1;
      if (events !== CHUNKS + 1) throw new Error(`${name} gave ${events} events`);
      const { user, system } = process.cpuUsage(before);
      // The first rounds warm up.
      if (round >= 0) times[name].push(user + system);
    }
  }
  const medians = Object.entries(times).map(([name, all]) => [
    name,
    all.sort((a, b) => a - b)[Math.floor(all.length / 2)],
  ]);
  const [[, own]] = medians;
  for (const [name, median] of medians) {
    const each = (median / CHUNKS).toFixed(1);
    console.log(
      `${name}: ${(median / 1000).toFixed(1)} ms a stream of ${CHUNKS} chunks, ${each} µs a chunk, ${(median / own).toFixed(1)} times`,
    );
  }
  provider.kill();
}

if (values.serve) serve();
else await measure();
