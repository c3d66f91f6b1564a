import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { AppError, createManualClock } from '../../kernel/index.ts';
import { createRobotsRules } from './robots-rules.ts';
import type { WebAnswer, WebClient } from './web-client.ts';

const SITE = 'https://example.com';

function rulesFrom(get: WebClient['get']) {
  return createRobotsRules({ client: { get }, clock: createManualClock(), delayMs: 0, maxDelayMs: 0 });
}

function answer(...pieces: readonly string[]): WebAnswer {
  const about = { mediaType: 'text/plain', etag: null, lastModified: null, robotsTag: null };
  const body = Readable.from(pieces.map((piece) => Buffer.from(piece)));
  return { type: 'content', url: `${SITE}/robots.txt`, ...about, body };
}

const page = (path: string): URL => new URL(path, SITE);
const { signal } = new AbortController();

describe('robots.txt', () => {
  it('is heeded by its beginning when it is endless', async () => {
    let given = 0;
    function* endless(): Generator<Buffer> {
      yield Buffer.from('User-agent: *\nDisallow: /private/\n');
      for (; given < 1_000; given += 1) yield Buffer.from(`Disallow: /x\n`.repeat(5_000));
    }
    const rules = rulesFrom(async () => ({ ...answer(), body: Readable.from(endless()) }) as WebAnswer);
    await expect(rules.admit(page('/private/x'), signal)).rejects.toMatchObject({ code: 'robots_disallowed' });
    await expect(rules.admit(page('/open'), signal)).resolves.toEqual({ delayMs: 0 });
    expect(given).toBeLessThan(100);
  });

  it('is asked for again when the crawl that asked first was cancelled', async () => {
    const first = new AbortController();
    let calls = 0;
    const rules = rulesFrom(async (_, asking) => {
      calls += 1;
      if (calls > 1) return answer('User-agent: *\nDisallow: /private/');
      return new Promise((_resolve, reject) => asking.addEventListener('abort', () => reject(asking.reason)));
    });
    const cancelled = rules.admit(page('/a'), first.signal);
    const other = rules.admit(page('/b'), signal);
    first.abort(new AppError('job_cancelled', 'Cancelled.'));
    await expect(cancelled).rejects.toMatchObject({ code: 'job_cancelled' });
    await expect(other).resolves.toEqual({ delayMs: 0 });
    expect(calls).toBe(2);
  });

  it('does not keep the thread busy with wildcards', async () => {
    const hostile = `User-agent: *\n${`Disallow: /h${'*a'.repeat(2_000)}b\n`.repeat(120)}Disallow: /last\n`;
    const rules = rulesFrom(async () => answer(hostile));
    await expect(rules.admit(page('/'), signal)).resolves.toEqual({ delayMs: 0 });
    const started = process.cpuUsage();
    await rules.admit(page(`/h${'a'.repeat(1_900)}`), signal).catch(() => {});
    expect(process.cpuUsage(started).user).toBeLessThan(400_000);
    await expect(rules.admit(page('/last'), signal)).rejects.toMatchObject({ code: 'robots_disallowed' });
  });
});
