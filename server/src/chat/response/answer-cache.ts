import { type CacheKey, cacheKey, createSharedRuns, type Lease } from '../../cache/index.ts';
import type { Clock, Meter } from '../../kernel/index.ts';
import type { AnswerCacheOptions } from './answer-cache-options.ts';
import { answerKeyParts } from './answer-key.ts';
import type { AnswerOpening } from './answer-opening.ts';
import type { AnswerSource, MadeEvent } from './delivery.ts';
import { createAnswerTaker, type KeptAnswer, readKept, replay, writeKept } from './kept-answer.ts';

/** Makes the answer. */
export type MakeAnswer = (signal: AbortSignal) => AsyncIterable<MadeEvent>;

/** Answers that are kept, and those that are just being made for somebody else. */
export interface AnswerCache {
  /** Where the answer comes from: kept, joined, or made by `make`. */
  source(opening: AnswerOpening, make: MakeAnswer, signal: AbortSignal): Promise<AnswerSource>;
}

/** Longer than any answer takes: a process that died gives its lease back by this. */
const LEASE_MS = 120_000;
/** How long another process may take over the same answer before it is made here, too. */
const PATIENCE_MS = 5_000;
const POLL_MS = 50;

export function createAnswerCache(
  options: AnswerCacheOptions & { readonly clock: Clock; readonly meter: Meter },
): AnswerCache {
  const { cache, leases, clock, meter } = options;
  const runs = createSharedRuns<MadeEvent>();
  const count = (result: string): void => meter.count('chatsphere_answer_cache_total', { result });

  async function fresh(key: CacheKey): Promise<KeptAnswer | null> {
    const kept = readKept(await cache.get(key));
    return kept !== null && kept.freshUntil > clock.now() ? kept : null;
  }

  async function keep(key: CacheKey, answer: Omit<KeptAnswer, 'freshUntil'> | null): Promise<void> {
    if (answer === null) return;
    const { ttlMs, staleMs } = options;
    await cache.set(key, writeKept({ ...answer, freshUntil: clock.now() + ttlMs }), ttlMs + staleMs);
  }

  /** Ours to make, or made by another process meanwhile. Whoever waits too long makes it, too. */
  async function takeTurn(key: CacheKey, leaseKey: CacheKey, signal: AbortSignal): Promise<Lease | KeptAnswer | null> {
    const waitUntil = clock.now() + PATIENCE_MS;
    for (;;) {
      const lease = await leases.acquire(leaseKey, LEASE_MS);
      // Looked at again: it may have been made since.
      const kept = await fresh(key);
      if (kept !== null) await lease?.release();
      if (kept !== null || lease !== null) return kept ?? lease;
      if (clock.now() >= waitUntil) return null;
      await clock.sleep(POLL_MS, signal);
    }
  }

  async function* makeOnce(
    { key, leaseKey }: { readonly key: CacheKey; readonly leaseKey: CacheKey },
    make: MakeAnswer,
    signal: AbortSignal,
  ): AsyncGenerator<MadeEvent> {
    const turn = await takeTurn(key, leaseKey, signal);
    if (turn !== null && 'text' in turn) {
      count('waited');
      yield* replay(turn, 'exact');
      return;
    }
    const taker = createAnswerTaker();
    let keeping: Promise<void> | null = null;
    try {
      for await (const event of make(signal)) {
        taker.take(event);
        if (event.type === 'end') keeping = keep(key, taker.whole());
        yield event;
      }
    } finally {
      await keeping;
      await turn?.release();
    }
  }

  return {
    async source(opening, make, signal) {
      const parts = answerKeyParts(opening, options.promptVersion);
      if (parts === null) {
        count('off');
        return { events: make(signal) };
      }
      const { tenantId, id: botId } = opening.request.bot;
      const owner = { tenantId, botId };
      const whole = opening.request.wholeAnswer === true;
      const key = cacheKey(owner, 'answer', [...parts.scope, parts.question]);
      const kept = await fresh(key);
      if (kept !== null) {
        count('exact');
        return { events: replay(kept, 'exact') };
      }
      // What comes in one piece at its end is nothing to join for who reads a stream; the other way round it is.
      const leaseKey = cacheKey(owner, 'lease', [key, whole]);
      const { leads, items } = runs.join(
        whole ? [leaseKey, cacheKey(owner, 'lease', [key, false])] : [leaseKey],
        (within) => makeOnce({ key, leaseKey }, make, within),
        signal,
      );
      count(leads ? 'miss' : 'joined');
      return leads ? { events: items } : { events: items, cache: 'exact' };
    },
  };
}
