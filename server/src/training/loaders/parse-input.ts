import { createHash } from 'node:crypto';
import { AppError } from '../../kernel/index.ts';
import type { ChunkingStrategy, DocumentStructure } from '../../store/index.ts';
import { type AnyChunker, DEFAULT_CHUNKING, type TableGrouping } from '../chunking/strategies.ts';
import { signatureOf } from '../duplicates/text-signature.ts';
import type { ParsedChunk, ParsedDocument, ParsedPart, ParserInput, ReadingCaution, TextToCut } from '../ports.ts';
import { loadFile } from './file-loader.ts';
import { isMultiple, type LoadedContent, type LoadedText, type NamedText } from './loaded-text.ts';
import { titleOfName } from './name-title.ts';
import { intoStretches } from './stretches.ts';

export interface InputParserOptions {
  readonly chunkerOf: (strategy: ChunkingStrategy) => Promise<AnyChunker>;
  /** Absent: tables stay as they are. */
  readonly groupTables?: TableGrouping;
  readonly maxCharacters: number;
}

export type PartOfInput = ParserInput & { readonly from: string | null; readonly caution?: ReadingCaution };

/** A cursor of a loader's own, and the number of a stretch of a text that was loaded whole. */
const OF_LOADER = 'loader:';
const OF_STRETCH = 'stretch:';

/** A text that is given out stretch by stretch, kept between two calls. */
interface Kept {
  readonly path: string;
  readonly stretches: readonly LoadedText[];
}

/**
 * Makes documents of inputs, part by part: load, cut what is too long for one document, clean, chunk, count, hash. Keeps
 * the text of one input between two calls, so that a long one is loaded only once.
 *
 * @throws AppError as `loadFile` does; `parse_failed` when a loader trips over the content.
 */
export function createInputParser(options: InputParserOptions): (input: PartOfInput) => Promise<ParsedPart> {
  let kept: Kept | null = null;

  async function stretchesOf(input: PartOfInput): Promise<readonly LoadedText[] | LoadedContent> {
    const { from } = input;
    if (kept?.path === input.path && from?.startsWith(OF_STRETCH)) return kept.stretches;
    kept = null;
    const ofLoader = from?.startsWith(OF_LOADER) ? from.slice(OF_LOADER.length) : null;
    const loaded = await loadFile({ ...input, from: ofLoader }, options);
    if (isMultiple(loaded)) return loaded;
    const stretches = intoStretches(loaded);
    if (stretches.length > 1) kept = { path: input.path, stretches };
    return stretches;
  }

  return async (input) => {
    try {
      const loaded = await stretchesOf(input);
      const strategy = input.chunking ?? DEFAULT_CHUNKING;
      const { groupTables = (text) => text } = options;
      const cut = await options.chunkerOf(strategy);
      const make: Making = { arrange: (text) => groupTables(text, strategy), cut };
      return await (isStretches(loaded) ? partOfStretches(loaded, input, make) : partOfLoaded(loaded, input, make));
    } catch (error) {
      if (error instanceof AppError) throw error;
      const message = `"${input.name}" cannot be read. Check that it opens, or save it as plain text.`;
      throw new AppError('parse_failed', message, { cause: error });
    }
  };
}

/** How texts become documents. */
interface Making {
  readonly arrange: (text: NamedText) => NamedText;
  readonly cut: AnyChunker;
}

function isStretches(loaded: readonly LoadedText[] | LoadedContent): loaded is readonly LoadedText[] {
  return Array.isArray(loaded);
}

async function partOfStretches(
  stretches: readonly LoadedText[],
  { name, fallbackTitle, from }: PartOfInput,
  make: Making,
): Promise<ParsedPart> {
  const position = from === null ? 0 : Number(from.slice(OF_STRETCH.length));
  const text = stretches[position];
  const documents =
    text === undefined ? [] : [await toDocument(partOf(text, { name, position, stretches }), fallbackTitle, make)];
  const isLast = position + 1 >= stretches.length;
  return {
    documents,
    refusals: [],
    next: isLast ? null : `${OF_STRETCH}${position + 1}`,
    share: (position + 1) / stretches.length,
  };
}

async function partOfLoaded(loaded: LoadedContent, input: PartOfInput, make: Making): Promise<ParsedPart> {
  const texts = loaded.texts.flatMap((text) => {
    const stretches = intoStretches(text);
    return stretches.map((stretch, position) => partOf(stretch, { name: text.name, position, stretches }));
  });
  const documents: ParsedDocument[] = [];
  for (const text of texts) {
    const fallbackTitle = text.name === input.name ? input.fallbackTitle : titleOfName(text.name);
    documents.push(await toDocument(text, fallbackTitle, make));
  }
  return {
    documents,
    refusals: loaded.refusals,
    next: loaded.next === null ? null : `${OF_LOADER}${loaded.next}`,
    share: loaded.share ?? null,
  };
}

/** All are called what the whole is called: which part it is would be searched and embedded, and stands in its name alone. */
function partOf<Text extends LoadedText>(
  text: Text,
  of: { readonly name: string; readonly position: number; readonly stretches: readonly unknown[] },
): Text & NamedText {
  const { name, position, stretches } = of;
  if (stretches.length === 1) return { ...text, name };
  return { ...text, name, part: position + 1 };
}

async function toDocument(given: NamedText, fallbackTitle: string, make: Making): Promise<ParsedDocument> {
  const loaded = make.arrange(given);
  const { part } = loaded;
  const name = part === undefined ? loaded.name : `${loaded.name} (part ${part})`;
  const title = loaded.title ?? fallbackTitle;
  const chunks = await make.cut({ ...loaded, title });
  const tokens = chunks.reduce((sum, { tokens: own }) => sum + own, 0);
  const contentHash = createHash('sha256').update(loaded.text).digest('hex');
  return {
    name,
    title,
    url: null,
    text: loaded.text,
    structure: structureOf(loaded),
    tokens,
    contentHash,
    signature: signatureOf(loaded.text),
    chunks,
  };
}

function structureOf({ layout, pageStarts, sections }: LoadedText): DocumentStructure {
  return {
    layout,
    ...(pageStarts === undefined ? {} : { pageStarts }),
    ...(sections === undefined ? {} : { sections }),
  };
}

/** Cuts a text that was loaded before. */
export async function cutText(
  { title, text, structure, chunking }: TextToCut,
  { chunkerOf }: Pick<InputParserOptions, 'chunkerOf'>,
): Promise<readonly ParsedChunk[]> {
  const chunk = await chunkerOf(chunking);
  return chunk({ ...(structure ?? { layout: 'markdown' }), title, text });
}
