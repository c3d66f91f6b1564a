import { createHash } from 'node:crypto';
import { AppError } from '../../kernel/index.ts';
import type { Chunker } from '../chunking/chunker.ts';
import type { ParsedDocument, ParsedPart, ParserInput } from '../ports.ts';
import { loadContent } from './content-loader.ts';
import { isMultiple, type LoadedText } from './loaded-text.ts';
import { titleOfName } from './name-title.ts';

export interface ParseInputOptions {
  readonly chunk: Chunker;
  readonly maxCharacters: number;
}

/**
 * Makes documents of one part of an input: load, clean, chunk, count, hash.
 *
 * @throws AppError as `loadContent` does; `parse_failed` when a loader trips over the content.
 */
export async function parseInput(
  bytes: Uint8Array,
  input: ParserInput & { readonly from: string | null },
  options: ParseInputOptions,
): Promise<ParsedPart> {
  try {
    const loaded = await loadContent(bytes, input, options);
    const { chunk } = options;
    if (!isMultiple(loaded)) {
      const { name, fallbackTitle } = input;
      return { documents: [toDocument(loaded, { name, fallbackTitle, chunk })], refusals: [], next: null, share: 1 };
    }
    return {
      documents: loaded.texts.map((text) =>
        toDocument(text, { name: text.name, fallbackTitle: titleOfName(text.name), chunk }),
      ),
      refusals: loaded.refusals,
      next: loaded.next,
      share: loaded.share ?? null,
    };
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

function toDocument(
  loaded: LoadedText,
  { name, fallbackTitle, chunk }: Pick<ParserInput, 'name' | 'fallbackTitle'> & { readonly chunk: Chunker },
): ParsedDocument {
  const title = loaded.title ?? fallbackTitle;
  const chunks = chunk({ ...loaded, title });
  const tokens = chunks.reduce((sum, { tokens: own }) => sum + own, 0);
  const contentHash = createHash('sha256').update(loaded.text).digest('hex');
  return { name, title, url: null, text: loaded.text, tokens, contentHash, chunks };
}
