import { AppError } from '../../kernel/index.ts';
import type { ChunkingStrategy } from '../../store/index.ts';
import type { WireChunkingStrategy } from '../contract/index.ts';

export function toWireChunking(strategy: ChunkingStrategy): WireChunkingStrategy {
  switch (strategy.type) {
    case 'auto':
      return { type: 'auto' };
    case 'static': {
      const { maxChunkSizeTokens, chunkOverlapTokens } = strategy;
      return {
        type: 'static',
        static: { max_chunk_size_tokens: maxChunkSizeTokens, chunk_overlap_tokens: chunkOverlapTokens },
      };
    }
    case 'langchain': {
      const { module, className, options } = strategy;
      return { type: 'langchain', langchain: { module, class: className, options: { ...options } } };
    }
  }
}

/** Rejects with `invalid_request` when the strategy names a package that is not allowed. */
export function chunkingOf(strategy: WireChunkingStrategy, allowed: readonly string[] = []): ChunkingStrategy {
  switch (strategy.type) {
    case 'auto':
      return { type: 'auto' };
    case 'static': {
      const { max_chunk_size_tokens: maxChunkSizeTokens, chunk_overlap_tokens: chunkOverlapTokens } = strategy.static;
      return { type: 'static', maxChunkSizeTokens, chunkOverlapTokens };
    }
    case 'langchain': {
      const { module, class: className, options } = strategy.langchain;
      if (!allowed.includes(module)) {
        throw new AppError(
          'invalid_request',
          `chunking_strategy.langchain.module: This server allows ${allowed.join(', ') || 'no packages'}. Ask its operator to add yours to CHUNKING_MODULES.`,
          { param: 'chunking_strategy.langchain.module' },
        );
      }
      return { type: 'langchain', module, className, options };
    }
  }
}
