/** The chunk set of content that was cut before chunk sets had names. */
export const FIRST_CHUNK_SET = 'auto@1';

/** A vector space and a chunk set: what an index of a bot's content is made of. */
export interface IndexParts {
  /** `embedder@version:dimensions`. */
  readonly space: string;
  /** The signature of how the content is cut; null: the set that answers for the bot. */
  readonly chunkSet: string | null;
}

/** One text for an index, as `generation` is spelled throughout: `space#chunkSet`. */
export function indexKey({ space, chunkSet }: IndexParts): string {
  return chunkSet === null ? space : `${space}#${chunkSet}`;
}

/** The reverse of `indexKey`. */
export function indexParts(key: string): IndexParts {
  const mark = key.indexOf('#');
  return mark < 0 ? { space: key, chunkSet: null } : { space: key.slice(0, mark), chunkSet: key.slice(mark + 1) };
}
