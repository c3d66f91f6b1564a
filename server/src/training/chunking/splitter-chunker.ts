import { AppError } from '../../kernel/index.ts';
import type { TokenCounter } from '../../llm/index.ts';
import type { ParsedChunk, TextSplitter } from '../ports.ts';
import { type ChunkedContent, type Piece, toChunks } from './chunk-making.ts';
import { createHeadingTrail } from './heading-trail.ts';
import { locatePieces, type Range, uncovered } from './piece-location.ts';
import { createRangeSplitter } from './range-splitter.ts';

export interface SplitterChunkerOptions {
  readonly splitter: TextSplitter;
  readonly tokens: TokenCounter;
  /** Larger pieces are cut further. */
  readonly maxTokens: number;
}

/**
 * Chunks as a text splitter from outside cuts them, with exact offsets: each piece is found again in the text. What the
 * splitter leaves out becomes chunks of its own, and nothing is larger than `maxTokens`.
 *
 * @returns rejects with `chunking_failed` when the splitter fails, or gives pieces that are not in the text.
 */
export function createSplitterChunker(
  options: SplitterChunkerOptions,
): (content: ChunkedContent) => Promise<readonly ParsedChunk[]> {
  const { splitter, tokens, maxTokens } = options;
  return async (content) => {
    const { text } = content;
    const located = locatePieces(text, await splitText(splitter, text), splitter.overlap);
    if (located === null) {
      throw new AppError(
        'chunking_failed',
        `${splitter.name} rewrites the text, so its chunks cannot be cited. Choose another splitter.`,
      );
    }
    const ranges = [...located, ...uncovered(text, located)].sort((a, b) => a.start - b.start || a.end - b.end);
    const split = createRangeSplitter(text, { tokens, maxTokens });
    const trail = createHeadingTrail(content);
    const pieces = ranges.flatMap((range: Range): Piece[] =>
      split({ kind: 'paragraph', ...range }).map(({ start, end, tokens: counted }) => ({
        start,
        end,
        tokens: counted,
        headingPath: [],
      })),
    );
    const inOrder = pieces.sort((a, b) => a.start - b.start || a.end - b.end);
    return toChunks(
      content,
      inOrder.map((piece) => ({ ...piece, headingPath: trail(piece.start) })),
    );
  };
}

async function splitText(splitter: TextSplitter, text: string): Promise<readonly string[]> {
  try {
    return await splitter.splitText(text);
  } catch (error) {
    if (error instanceof AppError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('chunking_failed', `${splitter.name} failed: ${reason.slice(0, 300)}`, { cause: error });
  }
}
