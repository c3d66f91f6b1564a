import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

interface Model {
  planOf(
    costs: unknown,
    demand: Readonly<Record<string, number>>,
  ): { readonly engine: string; readonly serving: number };
}

const script = fileURLToPath(new URL('../../scripts/write-scaling-docs.mjs', import.meta.url));
const model = new URL('../../bench/lib/scaling-model.mjs', import.meta.url).href;

describe('docs/scaling.md', () => {
  it('says what the reports of the benchmark say', async () => {
    await expect(promisify(execFile)(process.execPath, [script, '--check'])).resolves.toMatchObject({ stderr: '' });
  });

  it('plans by processor time, by streams and by the size of the file', async () => {
    const { planOf } = (await import(model)) as Model;
    const engine = { questionMs: 20, questionEngineMs: 10, tokenMs: 0.1, streamsAProcess: 1_000, bytesAChunk: 10_000 };
    const costs = {
      sqlite: { ...engine, questionEngineMs: 0, windowsAChunk: 5, pgvectorBytes: 1_900 },
      postgres: { ...engine, windowsAChunk: 5, pgvectorBytes: 1_900 },
    };
    const demand = { bots: 1_000, chunksABot: 10, questions: 1, streams: 10, tokensASecond: 20 };
    expect(planOf(costs, demand)).toMatchObject({ engine: 'SQLite', serving: 1, chunks: 10_000, diskGb: 0.1 });
    // 60 questions of 20 ms are 1.2 cores, which are 2 at 60 %; 20 ms of tokens make it a little more.
    expect(planOf(costs, { ...demand, questions: 60 })).toMatchObject({
      engine: 'PostgreSQL',
      serving: 4,
      engineCores: 1,
    });
    expect(planOf(costs, { ...demand, streams: 5_000, tokensASecond: 1 })).toMatchObject({ serving: 6 });
    expect(planOf(costs, { ...demand, bots: 600_000 })).toMatchObject({ engine: 'PostgreSQL', serving: 2, diskGb: 60 });
  });
});
