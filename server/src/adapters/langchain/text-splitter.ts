import { AppError } from '../../kernel/index.ts';
import type { ChunkingStrategy } from '../../store/index.ts';
import type { TextSplitter } from '../../training/index.ts';

type LangChainStrategy = Extract<ChunkingStrategy, { readonly type: 'langchain' }>;

/** A splitter of LangChain.js, as far as it is used here. */
interface Splitter {
  readonly chunkOverlap?: unknown;
  splitText(text: string): Promise<string[]>;
}

const CLASS_NAME = /^[A-Za-z][A-Za-z0-9]{0,99}$/;
/** Splitters that fetch their vocabulary from the network when they are used. */
const DOWNLOADING = new Set(['TokenTextSplitter']);

/**
 * Loads a text splitter of LangChain.js by the name of its package and class. Only the packages in `allowed` are loaded.
 * Rejects with `chunking_failed` when that cannot be done.
 */
export async function loadTextSplitter(strategy: LangChainStrategy, allowed: readonly string[]): Promise<TextSplitter> {
  const { module, className, options } = strategy;
  if (!allowed.includes(module))
    throw failed(`The package "${module}" may not be loaded here. Allowed: ${allowed.join(', ') || 'none'}.`);
  if (DOWNLOADING.has(className)) {
    throw failed(`${className} downloads its vocabulary. Use the \`static\` strategy, which counts tokens offline.`);
  }
  const found = Object.entries(await load(module)).find(([name]) => CLASS_NAME.test(className) && name === className);
  const made = found === undefined ? null : make(found[1], className, options);
  if (made === null) throw failed(`"${module}" has no text splitter named "${className}".`);
  const { chunkOverlap } = made;
  return {
    name: className,
    overlap: typeof chunkOverlap === 'number' && chunkOverlap > 0 ? chunkOverlap : 0,
    splitText: (text) => made.splitText(text),
  };
}

/** Rejects with `chunking_failed` when the package has no text splitter of that name. The package must be allowed. */
export async function requireTextSplitter({
  module,
  className,
}: Pick<LangChainStrategy, 'module' | 'className'>): Promise<void> {
  const member = Object.entries(await load(module)).find(([name]) => name === className)?.[1];
  if (!isSplitter(member)) throw failed(`"${module}" has no text splitter named "${className}".`);
}

function isSplitter(member: unknown): member is new (options: unknown) => Splitter {
  return typeof member === 'function' && typeof member.prototype?.splitText === 'function';
}

async function load(module: string): Promise<object> {
  try {
    return await import(module);
  } catch (error) {
    const message = `The package "${module}" is not installed. Install it beside the server: npm install ${module} @langchain/core.`;
    throw new AppError('chunking_failed', message, { cause: error });
  }
}

function make(member: unknown, className: string, options: LangChainStrategy['options']): Splitter | null {
  if (!isSplitter(member)) return null;
  try {
    return Reflect.construct(member, [options]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('chunking_failed', `${className} refuses its options: ${reason.slice(0, 300)}`, {
      cause: error,
    });
  }
}

function failed(message: string): AppError {
  return new AppError('chunking_failed', message);
}
