import { type CacheKey, type CacheOwner, cacheKey, createSharedRuns, type Lease } from '../../cache/index.ts';
import type { Clock, Meter } from '../../kernel/index.ts';
import type { AnswerCacheOptions } from './answer-cache-options.ts';
import { type AnswerKeyParts, answerKeyParts } from './answer-key.ts';
import type { AnswerOpening } from './answer-opening.ts';
import type { AnswerSource, MadeEvent } from './delivery.ts';
import { createAnswerTaker, type KeptAnswer, readKept, replay, writeKept } from './kept-answer.ts';

/** Makes the answer. `stale`: the one that was kept for the same question, as a last resort. */
export type MakeAnswer = (signal: AbortSignal, stale: KeptAnswer | null) => AsyncIterable<MadeEvent>;

/** Where the parts of one answer are kept. */
interface Places {
  readonly answer: CacheKey;
  /** Under the words of the question that carry its meaning; holds the key of the answer. Null: not to be looked up. */
  readonly question: CacheKey | null;
  readonly lease: CacheKey;
}

/** Answers that are kept, and those that are just being made for somebody else. */
export interface AnswerCache {
  /** Where the answer comes from: kept, joined, or made by `make`. */
  source(opening: AnswerOpening, make: MakeAnswer, signal: AbortSignal): Promise<AnswerSource>;
}

/** It is extended while the answer is made: others wait no longer than this for a process that died. */
const LEASE_MS = 5_000;
const EXTEND_MS = 1_500;
/** How long another process may take over the same answer before it is made here, too. */
const PATIENCE_MS = 5_000;
const POLL_MS = 50;

export function createAnswerCache(
  options: AnswerCacheOptions & { readonly clock: Clock; readonly meter: Meter },
): AnswerCache {
  const { cache, leases, clock, meter } = options;
  const runs = createSharedRuns<MadeEvent>();
  const count = (result: string): void => meter.count('chatsphere_answer_cache_total', { result });

  async function read(key: CacheKey): Promise<Looked> {
    const kept = readKept(await cache.get(key));
    if (kept === null) return NOTHING;
    return kept.freshUntil > clock.now() ? { fresh: kept, stale: null } : { fresh: null, stale: kept };
  }

  /** Of a question that asks the same in other words. */
  async function similar({ question }: Places): Promise<KeptAnswer | null> {
    const key = question === null ? null : await cache.get(question);
    return key === null ? null : (await read(key as CacheKey)).fresh;
  }

  async function keep(
    opening: AnswerOpening,
    { answer: key, question }: Places,
    answer: Omit<KeptAnswer, 'freshUntil'> | null,
  ): Promise<void> {
    if (answer === null || !(await isCurrent(opening))) return;
    const { ttlMs, staleMs } = options;
    const kept = writeKept({ ...answer, freshUntil: clock.now() + ttlMs });
    await Promise.all([
      cache.set(key, kept, ttlMs + staleMs),
      question === null ? null : cache.set(question, key, ttlMs),
    ]);
  }

  /** Ours to make, or made by another process meanwhile. Whoever waits too long makes it, too. */
  async function takeTurn(places: Places, signal: AbortSignal): Promise<Looked & { readonly lease: Lease | null }> {
    const waitUntil = clock.now() + PATIENCE_MS;
    for (;;) {
      const lease = await leases.acquire(places.lease, LEASE_MS);
      // Looked at again: it may have been made since.
      const looked = await read(places.answer);
      if (looked.fresh !== null || lease !== null || clock.now() >= waitUntil) return { ...looked, lease };
      await clock.sleep(POLL_MS, signal);
    }
  }

  async function* makeOnce(
    { opening, places, make }: { readonly opening: AnswerOpening; readonly places: Places; readonly make: MakeAnswer },
    signal: AbortSignal,
  ): AsyncGenerator<MadeEvent> {
    const { fresh, stale, lease } = await takeTurn(places, signal);
    const taker = createAnswerTaker();
    const held = lease === null ? null : holdLease(lease, clock);
    let keeping: Promise<void> | null = null;
    try {
      if (fresh !== null) count('waited');
      for await (const event of fresh === null ? make(signal, stale) : replay(fresh, 'exact')) {
        taker.take(event);
        if (event.type === 'end' && fresh === null) keeping = keep(opening, places, taker.whole());
        yield event;
      }
    } finally {
      await keeping;
      await held?.release();
    }
  }

  function placesOf({ request }: AnswerOpening, parts: AnswerKeyParts): Places {
    const { tenantId, id: botId } = request.bot;
    const owner = { tenantId, botId };
    const meaning = options.semantic ? parts.meaning() : null;
    const answer = cacheKey(owner, 'answer', [...parts.scope, parts.question]);
    return {
      answer,
      question: meaning === null ? null : cacheKey(owner, 'question', [...parts.scope, meaning]),
      lease: leaseOf(owner, answer, request.wholeAnswer === true),
    };
  }

  return {
    async source(opening, make, signal) {
      const parts = answerKeyParts(opening, options.serverVersion);
      if (parts === null) {
        count('off');
        return { events: make(signal, null) };
      }
      const places = placesOf(opening, parts);
      const { fresh } = await read(places.answer);
      const kept = fresh ?? (await similar(places));
      if (kept !== null) {
        const state = fresh === null ? 'semantic' : 'exact';
        count(state);
        return { events: replay(kept, state) };
      }
      // What comes in one piece at its end is nothing to join for who reads a stream; the other way round it is.
      const { bot, wholeAnswer } = opening.request;
      const owner = { tenantId: bot.tenantId, botId: bot.id };
      const ids: [string, ...string[]] = [places.lease];
      if (wholeAnswer === true) ids.push(leaseOf(owner, places.answer, false));
      const { leads, items } = runs.join(ids, (within) => makeOnce({ opening, places, make }, within), signal);
      count(leads ? 'miss' : 'joined');
      return leads ? { events: items } : { events: items, cache: 'exact' };
    },
  };
}

/** Content that was changed or deleted while the answer was made must not be remembered through it. */
async function isCurrent({ tenant, request: { bot } }: AnswerOpening): Promise<boolean> {
  const now = await tenant.bots.get(bot.id).catch(() => null);
  return now !== null && now.contentRevision === bot.contentRevision;
}

interface Looked {
  readonly fresh: KeptAnswer | null;
  /** Kept too long to be given as a rule. */
  readonly stale: KeptAnswer | null;
}

const NOTHING: Looked = { fresh: null, stale: null };

function leaseOf(owner: CacheOwner, answer: CacheKey, whole: boolean): CacheKey {
  return cacheKey(owner, 'lease', [answer, whole]);
}

/** Extends the lease until it is released. */
function holdLease(lease: Lease, clock: Clock): Pick<Lease, 'release'> {
  const released = new AbortController();
  async function extend(): Promise<void> {
    for (;;) {
      await clock.sleep(EXTEND_MS, released.signal);
      if (!(await lease.extend(LEASE_MS))) return;
    }
  }
  extend().catch(() => {});
  return {
    release() {
      released.abort();
      return lease.release();
    },
  };
}
