import type { FastifyRequest } from 'fastify';
import { AppError, toAppError } from '../kernel/index.ts';
import type { WireChunkingStrategy } from './contract/index.ts';

export interface SplitterCheckOptions {
  /** Packages whose text splitters a chunking strategy may name; absent: none. */
  readonly chunkingModules?: readonly string[];
  /** Rejects when the package has no such text splitter; what to do stands in the message. */
  readonly requireSplitter?: (splitter: { readonly module: string; readonly className: string }) => Promise<void>;
}

/** Rejects with `invalid_request` when the strategy names a text splitter that cannot be had here. */
export async function requireSplitterOf(
  strategy: WireChunkingStrategy | null | undefined,
  { chunkingModules = [], requireSplitter }: SplitterCheckOptions,
): Promise<void> {
  // A package that is not allowed is refused where the strategy is read, and never loaded.
  if (strategy?.type !== 'langchain' || !chunkingModules.includes(strategy.langchain.module)) return;
  const { module, class: className } = strategy.langchain;
  try {
    await requireSplitter?.({ module, className });
  } catch (error) {
    const param = 'chunking_strategy.langchain.class';
    throw new AppError('invalid_request', `${param}: ${toAppError(error).message}`, { param, cause: error });
  }
}

/** The strategy in a JSON body that was checked against its schema. */
export function strategyIn({ body }: Pick<FastifyRequest, 'body'>): WireChunkingStrategy | null | undefined {
  if (typeof body !== 'object' || body === null || !('chunking_strategy' in body)) return undefined;
  return body.chunking_strategy as WireChunkingStrategy | null | undefined;
}
