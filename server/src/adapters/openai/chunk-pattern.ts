/** Reads chunks that differ from an earlier one in nothing but their text, without parsing them. */
export interface ChunkPattern {
  /** Takes a chunk of which only the text counted as the pattern for those that follow. */
  learn(json: string, text: string): void;
  /** The text of a chunk of the same pattern; null: it must be parsed. */
  match(json: string): string | null;
}

/** What ends a JSON string, or stands for something else in it (RFC 8259, 7). */
const NOT_PLAIN = /["\\\p{Cc}]/u;
const KEY = /"content": ?"/g;
/** A server whose chunks differ in more than their text (random padding, say) is not compared with for longer. */
const MOST_MISSES = 3;

/**
 * The chunks of one answer are the same JSON but for one string. Between a beginning that ends where that string begins and
 * an end that starts where it ends, characters that need no escape are the string itself: several times cheaper than
 * parsing the chunk. The key must be there only once, so that the string is that of the delta.
 */
export function createChunkPattern(): ChunkPattern {
  let beginning = '';
  let end = '';
  let misses = 0;
  return {
    learn(json, text) {
      if (misses > MOST_MISSES || NOT_PLAIN.test(text)) return;
      const keys = [...json.matchAll(KEY)];
      const key = keys[0];
      if (keys.length !== 1 || key === undefined) return;
      const from = key.index + key[0].length;
      if (!json.startsWith(`${text}"`, from)) return;
      beginning = json.slice(0, from);
      end = json.slice(from + text.length);
    },
    match(json) {
      if (beginning === '') return null;
      const from = beginning.length;
      const to = json.length - end.length;
      if (to >= from && json.startsWith(beginning) && json.endsWith(end)) {
        const text = json.slice(from, to);
        if (!NOT_PLAIN.test(text)) return text;
        // An escape says nothing of the pattern.
        return null;
      }
      misses += 1;
      if (misses > MOST_MISSES) beginning = '';
      return null;
    },
  };
}
