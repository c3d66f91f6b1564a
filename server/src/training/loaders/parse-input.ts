import { createHash } from 'node:crypto';
import { AppError } from '../../kernel/index.ts';
import type { Chunker } from '../chunking/chunker.ts';
import type { ParsedDocument, ParserInput } from '../ports.ts';
import { loadContent } from './content-loader.ts';

/**
 * Makes documents of one input's bytes: load, clean, chunk, count, hash.
 *
 * @throws AppError as `loadContent` does; `parse_failed` when a loader trips over the content.
 */
export async function parseInput(
  bytes: Uint8Array,
  input: Omit<ParserInput, 'path'>,
  options: { readonly chunk: Chunker; readonly maxCharacters: number },
): Promise<readonly ParsedDocument[]> {
  try {
    const loaded = await loadContent(bytes, input, options.maxCharacters);
    const title = loaded.title ?? input.fallbackTitle;
    const chunks = options.chunk({ ...loaded, title });
    const tokens = chunks.reduce((sum, chunk) => sum + chunk.tokens, 0);
    const contentHash = createHash('sha256').update(loaded.text).digest('hex');
    return [{ title, url: null, text: loaded.text, tokens, contentHash, chunks }];
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError(
      'parse_failed',
      `"${input.name}" cannot be read. Check that it opens, or save it as plain text.`,
      {
        cause: error,
      },
    );
  }
}
