import { createHash } from 'node:crypto';
import { AppError } from '../../kernel/index.ts';
import type { TokenCounter } from '../../llm/index.ts';
import type { ChunkingStrategy } from '../../store/index.ts';
import type { LoadedText } from '../loaders/loaded-text.ts';
import type { ParsedChunk, TextSplitterLoader } from '../ports.ts';
import type { ChunkedContent } from './chunk-making.ts';
import { createChunker } from './chunker.ts';
import { createSplitterChunker } from './splitter-chunker.ts';
import { createStaticChunker } from './static-chunker.ts';
import { groupLongTables } from './table-groups.ts';

/** What is used where nothing else was asked for. */
export const DEFAULT_CHUNKING: ChunkingStrategy = { type: 'auto' };

/** Each grows when the same text would be cut in another way. */
const VERSIONS: Readonly<Record<ChunkingStrategy['type'], number>> = { auto: 2, static: 1, langchain: 1 };

/** One stable word for a strategy: equal ones cut equally. `auto@2`, `static-800-400@1`, `langchain-MarkdownTextSplitter-1a2b3c4d@1`. */
export function chunkingSignature(strategy: ChunkingStrategy): string {
  return `${nameOf(strategy)}@${VERSIONS[strategy.type]}`;
}

function nameOf(strategy: ChunkingStrategy): string {
  switch (strategy.type) {
    case 'auto':
      return 'auto';
    case 'static':
      return `static-${strategy.maxChunkSizeTokens}-${strategy.chunkOverlapTokens}`;
    case 'langchain': {
      const { module, className, options } = strategy;
      const settings = JSON.stringify([module, className, Object.entries(options).sort()]);
      return `langchain-${className}-${createHash('sha256').update(settings).digest('hex').slice(0, 8)}`;
    }
  }
}

/** Chunks of a text by any strategy. */
export type AnyChunker = (content: ChunkedContent) => Promise<readonly ParsedChunk[]>;

export interface ChunkersOptions {
  readonly tokens: TokenCounter;
  /** Of the `auto` strategy: the size that chunks aim at, and the largest. */
  readonly targetTokens: number;
  readonly maxTokens: number;
  /** Absent: there are no splitters from outside. */
  readonly loadSplitter?: TextSplitterLoader;
}

/** Makes long tables into groups of rows that fit a strategy's chunks; to be done before the text is stored and cut. */
export function createTableGrouping({
  tokens,
  targetTokens,
}: Pick<ChunkersOptions, 'tokens' | 'targetTokens'>): TableGrouping {
  return (loaded, strategy) => {
    const size = strategy.type === 'static' ? strategy.maxChunkSizeTokens : targetTokens;
    return groupLongTables(loaded, { tokens, groupTokens: Math.min(targetTokens, size) });
  };
}

export type TableGrouping = <Text extends LoadedText>(loaded: Text, strategy: ChunkingStrategy) => Text;

/** Chunks that a splitter from outside makes may not be larger: the largest of the `static` strategy. */
const LARGEST_CHUNK_TOKENS = 4_096;
/** Chunkers kept for the next text. */
const MOST_KEPT = 50;

/** Makes the chunker of a strategy; each is made once. Rejects with `chunking_failed` when a splitter cannot be had. */
export function createChunkers(options: ChunkersOptions): (strategy: ChunkingStrategy) => Promise<AnyChunker> {
  const made = new Map<string, AnyChunker>();
  return async (strategy) => {
    const key = chunkingSignature(strategy);
    const known = made.get(key);
    if (known !== undefined) return known;
    const chunker = await make(strategy, options);
    if (made.size >= MOST_KEPT) made.clear();
    made.set(key, chunker);
    return chunker;
  };
}

async function make(strategy: ChunkingStrategy, options: ChunkersOptions): Promise<AnyChunker> {
  const { tokens, loadSplitter } = options;
  switch (strategy.type) {
    case 'auto': {
      const chunk = createChunker(options);
      return async (content) => chunk(content);
    }
    case 'static': {
      const { maxChunkSizeTokens: maxTokens, chunkOverlapTokens: overlapTokens } = strategy;
      const chunk = createStaticChunker({ tokens, maxTokens, overlapTokens });
      return async (content) => chunk(content);
    }
    case 'langchain': {
      if (loadSplitter === undefined) {
        throw new AppError('chunking_failed', 'Text splitters of LangChain are not available on this server.');
      }
      const splitter = await loadSplitter(strategy);
      return createSplitterChunker({ splitter, tokens, maxTokens: LARGEST_CHUNK_TOKENS });
    }
  }
}
