import { createHash } from 'node:crypto';
import type { LoadedText } from '../loaders/loaded-text.ts';
import type { ParsedChunk } from '../ports.ts';

/** What is cut. */
export type ChunkedContent = LoadedText & { readonly title: string };

/** Chunks of a text with a title. The same text and title always give the same chunks. */
export type Chunker = (content: ChunkedContent) => readonly ParsedChunk[];

/** A chunk in the making. */
export interface Piece {
  readonly start: number;
  readonly end: number;
  readonly tokens: number;
  readonly headingPath: readonly string[];
}

/** Gives pieces their text, position, page and hash. */
export function toChunks(
  { text, title, pageStarts }: ChunkedContent,
  pieces: readonly Piece[],
): readonly ParsedChunk[] {
  return pieces.map((piece, position) => {
    const { start, end, tokens, headingPath } = piece;
    const own = text.slice(start, end);
    const page = pageOf(start, pageStarts);
    return { start, end, tokens, headingPath, page, position, text: own, hash: chunkHash(title, headingPath, own) };
  });
}

/** The page, from 1, that the offset lies on; null for content without pages. */
function pageOf(offset: number, pageStarts: readonly number[] | undefined): number | null {
  if (pageStarts === undefined) return null;
  const next = pageStarts.findIndex((start) => start > offset);
  return next === -1 ? Math.max(1, pageStarts.length) : Math.max(1, next);
}

/** SHA-256 of what is embedded of a chunk, hex. */
export function chunkHash(title: string, headingPath: readonly string[], text: string): string {
  return createHash('sha256')
    .update(JSON.stringify([title, headingPath, text]))
    .digest('hex');
}
