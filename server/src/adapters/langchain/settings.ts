import type { JsonObject, JsonValue } from '../../kernel/index.ts';

/** A class of LangChain.js, or one with the same methods, and what it is made from. */
export interface LangChainPart {
  /** As `import` takes it: a package with the path inside it, or a path to a file. */
  readonly module: string;
  readonly className: string;
  /** The argument of the constructor; values from the environment are filled in. May hold secrets. */
  readonly options: JsonObject;
}

export interface LangChainChatModelPart extends LangChainPart {
  /** Whether an answer that ends without a reason was cut off; null: judged by the class. */
  readonly requiresFinishReason: boolean | null;
}

export interface LangChainEmbeddingsPart extends LangChainPart {
  /** Names the vector space: vectors of another version are not mixed with these. */
  readonly version: string;
  readonly maxTextsPerCall: number;
  /** Weight of the vectors in the fused score, 0..1. */
  readonly fusionWeight: number;
}

/** All of LangChain that the configuration names. Nothing else can be loaded. */
export interface LangChainSettings {
  readonly chatModels: ReadonlyMap<string, LangChainChatModelPart>;
  readonly embeddings: ReadonlyMap<string, LangChainEmbeddingsPart>;
  readonly vectorStore: LangChainPart | null;
  /** Values that the options took from the environment: they are never written anywhere. */
  readonly secrets: readonly string[];
}

/** First part of the ids of what is configured here. */
export const LANGCHAIN_PROVIDER = 'langchain';

/** The options with `changes` put on top; a copy, since classes keep and change what they are given. */
export function optionsWith(
  options: JsonObject,
  changes: Readonly<Record<string, JsonValue>>,
): Record<string, unknown> {
  return { ...structuredClone(options), ...changes };
}
