import { LRUCache } from 'lru-cache';
import type { EmbeddingPurpose, WordVectorCache } from '../../embeddings/index.ts';
import type { Logger } from '../../kernel/index.ts';
import { abortable, type Batcher, createBatcher } from '../../resilience/index.ts';
import type { Urgency } from './text-turns.ts';
import type { TimeSlices } from './time-slices.ts';
import type { UseLiteModel } from './use-lite-model.ts';
import type { WordTable } from './word-table.ts';

const WORDS_PER_CALL = 32;
/** About 1 KB a word. */
const WORDS_IN_MEMORY = 5_000;

export interface UnseenWordsOptions {
  readonly table: WordTable;
  readonly slices: TimeSlices;
  readonly teacher: Pick<UseLiteModel, 'embed'>;
  readonly cache: WordVectorCache;
  /** Names the vector space in the cache. */
  readonly space: string;
  readonly logger: Logger;
}

/**
 * Vectors of words that the table lacks: asked of the teacher once, mapped into the table's space and kept: words that
 * documents brought for good, words that queries brought in memory alone, as anybody may ask anything and that must not
 * fill the database.
 */
export interface UnseenWords {
  /** A vector for every word. Aborting stops the waiting; what the teacher was asked already is still kept. */
  vectorsOf(words: Iterable<string>, request: LessonRequest): Promise<ReadonlyMap<string, Float32Array>>;
  /** What needs no waiting. */
  atHand(words: Iterable<string>): ReadonlyMap<string, Float32Array>;
}

interface LessonRequest {
  readonly purpose: EmbeddingPurpose;
  readonly signal?: AbortSignal | undefined;
}

type Vectors = ReadonlyMap<string, Float32Array>;

export function createUnseenWords(options: UnseenWordsOptions): UnseenWords {
  const memory = new LRUCache<string, Float32Array>({ max: WORDS_IN_MEMORY });
  const lessons = new Map<string, Promise<Vectors>>();
  const batcherOf = (urgency: Urgency): Batcher<string, Float32Array> =>
    createBatcher({
      maxItems: WORDS_PER_CALL,
      maxConcurrent: 1,
      run: (words, signal) => options.teacher.embed(words, { urgency, signal }),
    });
  const askTeacher = { query: batcherOf('query'), document: batcherOf('training') };

  function atHand(words: Iterable<string>): Map<string, Float32Array> {
    const found = new Map<string, Float32Array>();
    for (const word of words) {
      const vector = memory.get(word);
      if (vector !== undefined) found.set(word, vector);
    }
    return found;
  }

  /** Starts a lesson for the words that no lesson under way covers, and awaits all of them. */
  async function learn(words: readonly string[], { purpose, signal }: LessonRequest): Promise<readonly Vectors[]> {
    const uncovered = words.filter((word) => !lessons.has(word));
    if (uncovered.length > 0) startLesson(uncovered, purpose);
    const awaited = new Set(words.flatMap((word) => lessons.get(word) ?? []));
    return abortable(Promise.all(awaited), signal);
  }

  function startLesson(words: readonly string[], purpose: EmbeddingPurpose): void {
    const lesson = teach(words, purpose, { ...options, askTeacher });
    for (const word of words) lessons.set(word, lesson);
    const end = (): void => {
      for (const word of words) lessons.delete(word);
    };
    lesson.then((vectors) => {
      for (const [word, vector] of vectors) memory.set(word, vector);
      end();
    }, end);
  }

  return {
    atHand,
    async vectorsOf(words, request) {
      const wanted = new Set(words);
      const found = atHand(wanted);
      const missing = [...wanted].filter((word) => !found.has(word));
      for (let start = 0; start < missing.length; start += WORDS_PER_CALL) {
        request.signal?.throwIfAborted();
        for (const vectors of await learn(missing.slice(start, start + WORDS_PER_CALL), request)) {
          for (const [word, vector] of vectors) if (wanted.has(word)) found.set(word, vector);
        }
      }
      return found;
    },
  };
}

async function teach(
  words: readonly string[],
  purpose: EmbeddingPurpose,
  options: UnseenWordsOptions & {
    readonly askTeacher: Readonly<Record<EmbeddingPurpose, Batcher<string, Float32Array>>>;
  },
): Promise<Vectors> {
  const { table, askTeacher } = options;
  const known = await readCache(words, options);
  const unknown = words.filter((word) => known.get(word)?.length !== table.dimensions);
  if (unknown.length === 0) return known;
  const answers = await Promise.all(unknown.map((word) => askTeacher[purpose].add(word)));
  const learned = await projectAll(unknown, answers, options);
  if (purpose === 'document') await writeCache(learned, options);
  return new Map([...known, ...learned]);
}

/** With a pause now and then: a projection is an eighth of a million multiplications. */
async function projectAll(
  words: readonly string[],
  answers: readonly Float32Array[],
  { table, slices }: UnseenWordsOptions,
): Promise<Vectors> {
  const projected = new Map<string, Float32Array>();
  for (const [index, word] of words.entries()) {
    projected.set(word, table.project(answers[index] ?? new Float32Array(table.teacherDimensions)));
    await slices.pauseIfDue();
  }
  return projected;
}

/** The cache only saves work: without it the words are asked again. */
async function readCache(words: readonly string[], { cache, space, logger }: UnseenWordsOptions): Promise<Vectors> {
  try {
    return await cache.getMany(space, words);
  } catch (error) {
    logger.warn({ error, words: words.length }, 'word vectors could not be read from the cache');
    return new Map();
  }
}

async function writeCache(vectors: Vectors, { cache, space, logger }: UnseenWordsOptions): Promise<void> {
  try {
    await cache.putMany(space, vectors);
  } catch (error) {
    logger.warn({ error, words: vectors.size }, 'word vectors could not be kept in the cache');
  }
}
