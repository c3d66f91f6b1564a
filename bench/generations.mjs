#!/usr/bin/env node
// Changes the embedder of a bot under load: local/static-en to local/use-lite and back. Tells how long the build takes, how long
// the swap and the way back take, and how many questions failed or were answered by words alone meanwhile.
import { createClient, percentile } from './lib/client.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';

const DOCUMENTS = 40;
const TOPICS = ['badgers', 'otters', 'herons', 'foxes', 'newts', 'toads', 'beavers', 'owls', 'hares', 'bats'];
const ASKERS = 2;

function documentText(number) {
  const topic = TOPICS[number % TOPICS.length];
  return ['holidays', 'money', 'travel', 'safety', 'tools']
    .map(
      (part) =>
        `## ${part} for ${topic}\n\n${`Rule ${number} on ${part} says what ${topic} keepers should do. `.repeat(12)}`,
    )
    .join('\n\n');
}

const server = await startServer({ env: { EMBEDDING_FOLLOWER: 'off' } });
try {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  const bot = await client.post('/v1/bots', { name: 'Generations' });
  const base = `/v1/bots/${bot.id}`;
  for (let number = 0; number < DOCUMENTS; number += 1) {
    await client.post(`${base}/sources`, { type: 'text', title: `Page ${number}`, content: documentText(number) });
  }
  await until(async () => {
    for await (const { status } of client.list(`${base}/sources`)) if (status !== 'ready') return false;
    return true;
  });
  const asked = { questions: 0, failed: 0, byWords: 0, milliseconds: [] };
  let running = true;
  const askers = Array.from({ length: ASKERS }, () => ask());

  async function ask() {
    for (let turn = 0; running; turn += 1) {
      const startedAt = performance.now();
      try {
        const query = `money for ${TOPICS[turn % TOPICS.length]} ${turn}`;
        const { degraded } = await client.post(`${base}/search`, { query });
        if (degraded.length > 0) asked.byWords += 1;
      } catch {
        asked.failed += 1;
      }
      asked.questions += 1;
      asked.milliseconds.push(performance.now() - startedAt);
    }
  }

  const buildStarted = performance.now();
  const built = await client.post(`${base}/generations`, { embedding_model: 'local/use-lite', activate: 'manual' });
  await until(async () => (await client.get(`${base}/generations/${built.id}`)).state === 'ready');
  const buildMs = performance.now() - buildStarted;
  const { comparison } = await client.get(`${base}/generations/${built.id}`);
  const swaps = [await timed(() => client.post(`${base}/generations/${built.id}/activate`, {}))];
  const rollbacks = [];
  for (let turn = 0; turn < 10; turn += 1) {
    await sleep(200);
    (turn % 2 === 0 ? rollbacks : swaps).push(await timed(() => client.post(`${base}/generations/rollback`, {})));
  }
  running = false;
  await Promise.all(askers);
  console.log(
    JSON.stringify(
      {
        documents: DOCUMENTS,
        build_seconds: round(buildMs / 1000),
        comparison,
        swap_ms: { median: round(percentile(swaps, 50)), worst: round(Math.max(...swaps)) },
        rollback_ms: { median: round(percentile(rollbacks, 50)), worst: round(Math.max(...rollbacks)) },
        questions: asked.questions,
        failed: asked.failed,
        answered_by_words_alone: asked.byWords,
        question_ms: { p50: round(percentile(asked.milliseconds, 50)), p95: round(percentile(asked.milliseconds, 95)) },
      },
      null,
      2,
    ),
  );
  process.exitCode = asked.failed > 0 || Math.max(...swaps, ...rollbacks) > 1000 ? 1 : 0;
} finally {
  await server.stop();
}

async function timed(work) {
  const startedAt = performance.now();
  const { state } = await work();
  if (state !== 'active') throw new Error(`The generation is ${state}.`);
  return performance.now() - startedAt;
}

async function until(condition) {
  while (!(await condition())) await sleep(100);
}

function round(value) {
  return Math.round(value * 10) / 10;
}
