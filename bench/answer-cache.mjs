// Asks the same questions again and again: how soon a cached answer begins, for a bot with content and for one without,
// and how many calls of the model 200 equal questions at once cost. Prints one JSON object; exit code 1 when a bar is missed.
//   node bench/answer-cache.mjs --questions 300 --at-once 200
import { createServer, request as httpRequest } from 'node:http';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { createClient, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const { values } = parseArgs({
  options: { questions: { type: 'string', default: '300' }, 'at-once': { type: 'string', default: '200' } },
});
const BARS = { first_byte_p50_ms: 5, model_calls_of_a_stampede: 1 };
const TOKENS = 40;
const TOKEN_MS = 20;
const QUESTION = 'At what temperature is green tea steeped?';

const model = await startModel();
const server = await startServer({
  env: {
    LOG_LEVEL: 'error',
    OPENAI_BASE_URL: model.url,
    CHAT_MODEL: 'openai/paced',
    EMBEDDING_MODEL: 'local/static-en',
    EMBEDDING_FOLLOWER: 'off',
  },
});
try {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  const limits = { requests_per_minute: 1_000_000, tokens_per_minute: 100_000_000, concurrent: 1000 };
  const { secret } = await client.post('/v1/api_keys', { name: 'Visitors', scopes: ['chat'], limits });
  for (const slug of ['trained', 'empty']) await client.post('/v1/bots', { name: slug, slug });
  const text = 'Green tea is steeped at 75 degrees for two minutes.\n\n'.repeat(20);
  const source = await client.post('/v1/bots/trained/sources', { type: 'text', title: 'Tea', content: text });
  await ready(client, source.id);
  const ask = (bot, more = {}) => stream({ url: server.url, key: secret, bot, ...more });

  const cached = {};
  for (const bot of ['trained', 'empty']) cached[bot] = { new_ms: (await ask(bot)).firstByteMs, first: [], whole: [] };
  const floor = [];
  const busyBefore = server.cpuSeconds();
  for (let asked = 0; asked < Number(values.questions); asked += 1) {
    floor.push(await timed(() => fetch(`${server.url}/health`).then((response) => response.text())));
    for (const bot of ['trained', 'empty']) {
      const answer = await ask(bot);
      if (answer.cache !== 'exact') throw new Error(`an answer was not cached: ${answer.cache}`);
      cached[bot].first.push(answer.firstByteMs);
      cached[bot].whole.push(answer.wholeMs);
    }
  }
  const cpuMs = ((server.cpuSeconds() - busyBefore) * 1000) / (Number(values.questions) * 3);
  const conversations = [];
  for (let asked = 0; asked < 50; asked += 1) {
    conversations.push((await ask('trained', { body: { conversation: true } })).firstByteMs);
  }
  const stampedes = {};
  for (const bot of ['trained', 'empty']) {
    const before = model.calls();
    const question = `Was it ${bot} tea that many asked for at once?`;
    const atOnce = Array.from({ length: Number(values['at-once']) }, () => ask(bot, { question }));
    const answers = await Promise.all(atOnce);
    stampedes[bot] = {
      answers: answers.length,
      model_calls: model.calls() - before,
      different_ids: new Set(answers.map(({ id }) => id)).size,
      different_texts: new Set(answers.map(({ text: said }) => said)).size,
      first_byte_ms: figures(answers.map(({ firstByteMs }) => firstByteMs)),
      whole_ms: figures(answers.map(({ wholeMs }) => wholeMs)),
    };
  }
  const report = {
    bars: BARS,
    model: { tokens: TOKENS, ms_a_token: TOKEN_MS },
    load_average: rounded(loadavg()[0]),
    health_ms: figures(floor),
    processor_ms_a_request: rounded(cpuMs),
    cached: Object.fromEntries(Object.entries(cached).map(([bot, times]) => [bot, cachedFigures(times, floor)])),
    cached_into_a_new_conversation_first_byte_ms: figures(conversations),
    stampede: stampedes,
  };
  report.passed =
    Object.values(report.cached).every(({ first_byte_ms: { p50 } }) => p50 <= BARS.first_byte_p50_ms) &&
    Object.values(stampedes).every(({ model_calls: calls }) => calls === BARS.model_calls_of_a_stampede);
  console.log(JSON.stringify(report, null, 2));
  if (!report.passed) process.exitCode = 1;
} finally {
  await server.stop();
  model.stop();
}

/** `above_health_ms`: what an answer takes beyond a request that does nothing, on the same machine at the same time. */
function cachedFigures({ new_ms, first, whole }, floor) {
  return {
    new_answer_first_byte_ms: rounded(new_ms),
    first_byte_ms: figures(first),
    above_health_ms: rounded(percentile(first, 50) - percentile(floor, 50)),
    whole_ms: figures(whole),
  };
}

function figures(times) {
  return { p50: rounded(percentile(times, 50)), p99: rounded(percentile(times, 99)) };
}

function rounded(milliseconds) {
  return Math.round(milliseconds * 100) / 100;
}

async function timed(work) {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function ready(client, sourceId) {
  for (;;) {
    const { status } = await client.get(`/v1/bots/trained/sources/${sourceId}`);
    if (status === 'ready') return;
    await sleep(50);
  }
}

/** One streamed answer, timed from the request to the first byte of the body and to its end. */
function stream({ url, key, bot, question = QUESTION, body = {} }) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let firstByteMs = null;
    let raw = '';
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const request = httpRequest(`${url}/v1/chat/completions`, { method: 'POST', headers }, (response) => {
      response.setEncoding('utf8');
      response.on('data', (part) => {
        firstByteMs ??= performance.now() - startedAt;
        raw += part;
      });
      response.on('end', () => {
        const wholeMs = performance.now() - startedAt;
        const chunks = raw.split('\n').filter((line) => line.startsWith('data: {'));
        const parsed = chunks.map((line) => JSON.parse(line.slice(6)));
        const text = parsed.map((chunk) => chunk.choices?.[0]?.delta?.content ?? '').join('');
        if (response.statusCode !== 200 || !raw.includes('[DONE]')) reject(new Error(raw.slice(0, 300)));
        else resolve({ firstByteMs, wholeMs, text, id: parsed[0].id, cache: response.headers['x-chatsphere-cache'] });
      });
    });
    request.on('error', reject);
    const messages = [{ role: 'user', content: question }];
    request.end(JSON.stringify({ model: bot, stream: true, messages, ...body }));
  });
}

/** A provider that says its tokens at an even pace. */
async function startModel() {
  let calls = 0;
  const provider = createServer((request, response) => {
    request.resume();
    request.on('end', async () => {
      calls += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const say = (delta, finish_reason = null) =>
        response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
      for (let token = 0; token < TOKENS; token += 1) {
        await sleep(TOKEN_MS);
        say({ content: token === 0 ? 'At 75 degrees [1]. ' : `Word${token} ` });
      }
      say({}, 'stop');
      response.end('data: [DONE]\n\n');
    });
  });
  await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${provider.address().port}/v1`,
    calls: () => calls,
    stop() {
      provider.close();
      provider.closeAllConnections();
    },
  };
}
