import { readFileSync } from 'node:fs';
import {
  type Embedder,
  type EmbedderProfile,
  type EmbeddingPurpose,
  normalise,
  type WordVectorCache,
} from '../../embeddings/index.ts';
import type { Clock, Logger } from '../../kernel/index.ts';
import { abortable, type RightOfWay } from '../../resilience/index.ts';
import { refuseMisfit } from './refuse-misfit.ts';
import { createTimeSlices, type TimeSlices } from './time-slices.ts';
import { createUnseenWords, type UnseenWords } from './unseen-words.ts';
import type { UseLiteModel } from './use-lite-model.ts';
import { loadWordTable, type WordTable } from './word-table.ts';
import { isTeachable, wordsOf } from './words-of.ts';

const MANIFEST = new URL('./assets/static-en.json', import.meta.url);
/** Goes up when the same table would give other vectors: other words of a text, other sums, other windows. */
const METHOD_VERSION = 2;
const PIECE_CHARACTERS = 4_096;
/** A question has a name or two that the table lacks. The teacher, which documents need too, takes milliseconds a word. */
const MOST_UNSEEN_WORDS_OF_A_QUERY = 32;

export interface StaticEmbedderOptions {
  readonly wordVectors: WordVectorCache;
  /** Gives the vectors of words that the table lacks. Owned by the caller, who stops it. */
  readonly teacher: Pick<UseLiteModel, 'embed'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Lets questions go first, between two slices of what is embedded in the background. */
  readonly giveWay?: RightOfWay['giveWay'];
  /** How long a query waits for the teacher before unseen words are left out of it this once. Default 40 ms. */
  readonly queryPatienceMs?: number;
}

/**
 * `local/static-en`: a text's vector is the sum of its words' vectors, each weighted by its rarity (smooth inverse
 * frequency: Arora et al. 2017), at length 1. The vectors come from a table distilled from Universal Sentence Encoder
 * Lite; the model itself is asked once for each word that the table lacks. English; texts of any length; about
 * 0.1 ms for 80 words. Runs on the caller's thread in slices of 3 ms.
 */
export function createStaticEmbedder(options: StaticEmbedderOptions): Embedder {
  const profile = readProfile();
  let parts: Promise<Parts> | undefined;
  const load = (): Promise<Parts> => {
    parts ??= loadParts(profile, options);
    return parts;
  };
  return {
    profile,
    async doEmbed(texts, { purpose, dimensions, signal, background }) {
      refuseMisfit(profile, { texts, dimensions });
      signal?.throwIfAborted();
      const loaded = await load();
      const giveWay = background === true ? options.giveWay : undefined;
      const pauseIfDue = (): Promise<void> | undefined => loaded.slices.pauseIfDue() ?? giveWay?.(signal);
      const drafts = await draftAll(loaded, texts, { pauseIfDue, signal });
      const wanted = wordsToLearn(drafts, purpose);
      const vectorsOf = learningFor(purpose, { ...options, unseenWords: loaded.unseenWords });
      const learned = wanted.size === 0 ? new Map() : await vectorsOf(wanted, signal);
      const vectors: Float32Array[] = [];
      for (const draft of drafts) {
        const pause = pauseIfDue();
        if (pause !== undefined) await pause;
        vectors.push(finish(draft, learned));
      }
      return {
        vectors,
        inputTokens: drafts.reduce((sum, draft) => sum + draft.words, 0),
        ...(learned.size < wanted.size ? { provisional: true } : {}),
      };
    },
    async start() {
      await load();
    },
    async stop() {},
  };
}

interface Parts {
  readonly table: WordTable;
  readonly unseenWords: UnseenWords;
  readonly slices: TimeSlices;
}

async function loadParts(profile: EmbedderProfile, options: StaticEmbedderOptions): Promise<Parts> {
  const table = await loadWordTable(MANIFEST);
  const slices = createTimeSlices();
  const unseenWords = createUnseenWords({
    table,
    slices,
    teacher: options.teacher,
    cache: options.wordVectors,
    space: `${profile.id}@${profile.version}`,
    logger: options.logger,
  });
  return { table, unseenWords, slices };
}

function readProfile(): EmbedderProfile {
  const manifest: { readonly sha256: string; readonly dimensions: number } = JSON.parse(readFileSync(MANIFEST, 'utf8'));
  return {
    id: 'local/static-en',
    dimensions: manifest.dimensions,
    version: `${METHOD_VERSION}-${manifest.sha256.slice(0, 8)}`,
    maxTextsPerCall: 256,
    // They only take turns: a query is not to wait until documents are through.
    maxConcurrentCalls: 16,
    fusionWeight: 0.4,
    // Measured: side by side, without overlap, found more than 80 words at a step of 60 (docs/retrieval.md).
    window: { words: 40, step: 40 },
    local: true,
  };
}

/** A text's sum over the words of the table, and how often each other word is still to be added. */
interface Draft {
  readonly sum: Float64Array;
  readonly unseen: Map<string, number>;
  words: number;
}

async function draftAll(
  { table }: Parts,
  texts: readonly string[],
  { pauseIfDue, signal }: TimeSlices & { readonly signal: AbortSignal | undefined },
): Promise<readonly Draft[]> {
  const drafts: Draft[] = [];
  for (const text of texts) {
    const draft: Draft = { sum: new Float64Array(table.dimensions), unseen: new Map(), words: 0 };
    for (const piece of piecesOf(text)) {
      const pause = pauseIfDue();
      if (pause !== undefined) await pause;
      signal?.throwIfAborted();
      addPiece(draft, piece, table);
    }
    drafts.push(draft);
  }
  return drafts;
}

/** Long texts piece by piece, cut at white space where there is some. */
function* piecesOf(text: string): Iterable<string> {
  let start = 0;
  while (text.length - start > PIECE_CHARACTERS) {
    const head = text.slice(start, start + PIECE_CHARACTERS);
    const space = head.search(/\s\S*$/u);
    const end = start + (space > 0 ? space : PIECE_CHARACTERS);
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

function addPiece(draft: Draft, piece: string, table: WordTable): void {
  for (const word of wordsOf(piece, table.has)) {
    draft.words += 1;
    if (table.addTo(draft.sum, word) || !isTeachable(word)) continue;
    draft.unseen.set(word, (draft.unseen.get(word) ?? 0) + 1);
  }
}

/** Of a query the first ones, in order, so that the same query always has the same vector. */
function wordsToLearn(drafts: readonly Draft[], purpose: EmbeddingPurpose): ReadonlySet<string> {
  const words = new Set(drafts.flatMap(({ unseen }) => [...unseen.keys()]));
  return purpose === 'document' ? words : new Set([...words].slice(0, MOST_UNSEEN_WORDS_OF_A_QUERY));
}

type Learning = (words: ReadonlySet<string>, signal?: AbortSignal) => Promise<ReadonlyMap<string, Float32Array>>;

/** Documents wait for the vectors of all their words; a query takes what comes soon, the rest is there the next time. */
function learningFor(
  purpose: EmbeddingPurpose,
  { unseenWords, clock, logger, queryPatienceMs = 40 }: StaticEmbedderOptions & Pick<Parts, 'unseenWords'>,
): Learning {
  if (purpose === 'document') return (words, signal) => unseenWords.vectorsOf(words, { purpose, signal });
  return async (words, signal) => {
    const patience = new AbortController();
    const timeUp = clock.sleep(queryPatienceMs, patience.signal).then(() => null);
    const learned = unseenWords.vectorsOf(words, { purpose }).catch((error: unknown) => {
      logger.warn({ error, words: words.size }, 'unseen words of a query could not be embedded');
      return null;
    });
    try {
      return (await abortable(Promise.race([learned, timeUp]), signal)) ?? unseenWords.atHand(words);
    } finally {
      patience.abort();
    }
  };
}

function finish({ sum, unseen }: Draft, learned: ReadonlyMap<string, Float32Array>): Float32Array {
  for (const [word, count] of unseen) {
    const vector = learned.get(word);
    if (vector === undefined) continue;
    for (let d = 0; d < sum.length; d += 1) sum[d] = (sum[d] ?? 0) + count * (vector[d] ?? 0);
  }
  return normalise(Float32Array.from(sum));
}
