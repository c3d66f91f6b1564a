// Visitors of many bots: most want the same few. They chat, search and, now and then, add a source.
import http from 'node:http';
import { mapBounded } from './client.mjs';
import { documentOf, questionOf } from './scaling-content.mjs';
import { round, timesOf } from './scaling-report.mjs';
import { BENCH_KEY, sleep } from './server.mjs';

const HOT_SHARE = 0.01;
const AT_ONCE = 8;

/** Numbers from 0 on, smaller ones more often: number n with a weight of 1/(n+1)^skew. Given a share of 0 to 1. */
export function createZipf(count, skew) {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let number = 0; number < count; number += 1) {
    sum += 1 / (number + 1) ** skew;
    upTo[number] = sum;
  }
  return (share) => {
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle] < share * sum) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/**
 * Sends requests when they are due, whether earlier ones are answered or not (`rate` 0: eight at a time), and waits for all answers.
 * `shares`: how much of them is `chat`, `search` and `train`; `seen`: bots that were asked since the start, which grows.
 */
export async function ask({ server, engine, agent }, { bots, zipf, total, rate, shares, seen, random }) {
  const hotUpTo = Math.max(1, Math.round(bots.length * HOT_SHARE));
  const plan = Array.from({ length: total }, (_, number) => ({
    number,
    rank: zipf(random()),
    kind: pick(shares, random()),
  }));
  const cpu = { server: server.cpuSeconds(), engine: engine.cpuSeconds() };
  const results = [];
  const startedAt = performance.now();
  const one = async ({ rank, kind, number }, dueAt) => {
    const isCold = !seen.has(rank);
    seen.add(rank);
    const result = await REQUESTS[kind]({ server, agent }, bots[rank], number);
    results.push({ ms: performance.now() - dueAt, isCold, isHot: rank < hotUpTo, kind, bot: bots[rank], ...result });
  };
  if (rate === 0) await mapBounded(plan, AT_ONCE, (request) => one(request, performance.now()));
  else {
    await Promise.all(
      plan.map(async (request, index) => {
        const dueAt = startedAt + (index * 1000) / rate;
        await sleep(Math.max(0, dueAt - performance.now()));
        await one(request, dueAt);
      }),
    );
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const times = (which) => timesOf(results.filter(which).map(({ ms }) => ms));
  const withResult = (name) => results.filter(({ kind, found }) => kind === name && found > 0).length;
  return {
    results,
    report: {
      requests_a_second: round(total / seconds),
      cpu_ms_a_request: round(((server.cpuSeconds() - cpu.server) * 1000) / total),
      engine_cpu_ms_a_request: round(((engine.cpuSeconds() - cpu.engine) * 1000) / total),
      failures: results.filter(({ ok }) => !ok).length,
      failed_with: [...new Set(results.filter(({ ok }) => !ok).map(({ error }) => error))],
      by_words_alone: results.filter(({ degraded }) => degraded).length,
      chats_with_a_citation: withResult('chat'),
      searches_with_a_hit: withResult('search'),
      ...Object.fromEntries(Object.keys(shares).map((name) => [name, times(({ kind }) => kind === name)])),
      [`hot_bots_first_${hotUpTo}`]: times(({ isHot, kind }) => isHot && kind !== 'train'),
      other_bots: times(({ isHot, kind }) => !isHot && kind !== 'train'),
      cold: times(({ isCold, kind }) => isCold && kind !== 'train'),
      cold_large: times(({ isCold, kind, bot }) => isCold && bot.kind === 'large' && kind !== 'train'),
      warm: times(({ isCold, kind }) => !isCold && kind !== 'train'),
      bots_asked_so_far: seen.size,
      rss_mb: server.rssMb(),
    },
  };
}

/** Searches each bot once, in a row: what it takes to have them all in memory, and whether memory stops growing. */
export async function walk({ server, engine, agent }, bots) {
  const rss = [server.rssMb()];
  const cpu = { server: server.cpuSeconds(), engine: engine.cpuSeconds() };
  const startedAt = performance.now();
  const quarter = Math.ceil(bots.length / 4);
  const results = await searchAll({ server, agent }, bots, (number) => {
    if ((number + 1) % quarter === 0) rss.push(server.rssMb());
  });
  const cpuMs = (from, now) => round(((now - from) * 1000) / bots.length);
  const report = {
    seconds: round((performance.now() - startedAt) / 1000),
    cpu_ms_a_search: cpuMs(cpu.server, server.cpuSeconds()),
    engine_cpu_ms_a_search: cpuMs(cpu.engine, engine.cpuSeconds()),
    failures: results.filter(({ ok }) => !ok).length,
    all: timesOf(results.map(({ ms }) => ms)),
    rss_mb_by_quarter: [...rss, server.rssMb()],
  };
  // Those of the beginning have left memory when all do not fit; those of the end are still in it.
  const [first, last] = [bots.slice(0, 100), bots.slice(-100)];
  report.last_100_again = timesOf((await searchAll({ server, agent }, last)).map(({ ms }) => ms));
  report.first_100_again = timesOf((await searchAll({ server, agent }, first)).map(({ ms }) => ms));
  report.rss_mb = server.rssMb();
  return report;
}

function searchAll({ server, agent }, bots, onDone = () => {}) {
  return mapBounded(bots, AT_ONCE, async (bot, number) => {
    const at = performance.now();
    const result = await REQUESTS.search({ server, agent }, bot, number);
    onDone(number);
    return { ...result, ms: performance.now() - at };
  });
}

/** What a visitor can send; `found`: citations or hits. */
const REQUESTS = {
  async chat(to, bot, number) {
    const messages = [{ role: 'user', content: questionOf(bot.template.topic, number) }];
    const { status, body } = await post(to, '/v1/chat/completions', { model: bot.slug, messages });
    const extra = body?.choices?.[0]?.message?.chatsphere;
    return {
      ok: status === 200,
      error: errorOf(status, body),
      found: extra?.citations?.length ?? 0,
      degraded: extra?.degraded?.includes('lexical_search') ?? false,
    };
  },
  async search(to, bot, number) {
    const query = questionOf(bot.template.topic, number);
    const { status, body } = await post(to, `/v1/bots/${bot.slug}/search`, { query });
    return {
      ok: status === 200,
      error: errorOf(status, body),
      found: body?.data?.length ?? 0,
      degraded: (body?.degraded?.length ?? 0) > 0,
    };
  },
  async train(to, bot, number) {
    const content = documentOf({ topic: bot.template.topic, number: 1_000 + number, sections: 2 });
    const source = { type: 'text', title: `Added ${number}`, content };
    const { status, body } = await post(to, `/v1/bots/${bot.slug}/sources`, source);
    return { ok: status === 202, error: errorOf(status, body), found: 0, degraded: false };
  },
};

function errorOf(status, body) {
  return `${status} ${body?.error?.code ?? ''}`.trim();
}

function pick(shares, share) {
  let upTo = 0;
  for (const [kind, part] of Object.entries(shares)) {
    upTo += part;
    if (share < upTo) return kind;
  }
  return Object.keys(shares)[0];
}

function post({ server, agent }, path, json) {
  const content = JSON.stringify(json);
  return new Promise((resolve) => {
    const failed = () => resolve({ status: 0, body: null });
    const headers = {
      authorization: `Bearer ${BENCH_KEY}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(content),
    };
    const request = http.request(`${server.url}${path}`, { agent, method: 'POST', headers });
    request.on('error', failed);
    request.on('response', (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', failed);
      response.on('end', () =>
        resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(parts).toString()) }),
      );
    });
    request.end(content);
  });
}
